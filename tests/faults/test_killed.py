"""DVC, make and stages ended by signals: nothing partial is recorded, no process remains.

tests/stages/test_lifetime.py has the quick tests of how a stage ends.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml

from tests.checkout import ROOT, Checkout
from tests.experiments.held_study import processes_below
from tests.faults import one_model
from tests.faults.one_model import EVALUATE, HISTORY, TRAIN, WEIGHTS

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
MOMENTS = 20


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which everything is downloaded and nothing trained."""
    checkout = one_model.create(tmp_path_factory.mktemp("killed"), mnist_folder)
    checkout.run("dvc", "repro", "--quiet", "download")
    checkout.commit("Download")
    return checkout


@pytest.fixture
def checkout(fresh: Checkout) -> Iterator[Checkout]:
    yield fresh
    fresh.restore()


@contextmanager
def started(checkout: Checkout, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and kill whatever of it is left in the end."""
    with checkout.start(*command) as process:
        try:
            yield process
        finally:
            for each in processes_below(checkout.root):
                with suppress(psutil.NoSuchProcess):
                    each.kill()


def stages(checkout: Checkout) -> list[psutil.Process]:
    """Return the running stages, without the shells that started them."""
    found = []
    for process in processes_below(checkout.root):
        with suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:2] == ["-m"] and "stages." in process.cmdline()[2]:
                found.append(process)
    return found


def strike(checkout: Checkout, process: subprocess.Popen[str], whom: str, number: int) -> bool:
    """Send a signal to the command alone, to its whole group as Ctrl-C does, or to its stages.

    Returns False if there was no process to receive it.
    """
    try:
        if whom == "the group":
            os.killpg(process.pid, number)
        elif whom == "the stage":
            at_work = [stage for stage in stages(checkout) if halt(stage)]
            for stage in at_work:
                stage.send_signal(number)
                stage.resume()
            return bool(at_work)
        else:
            os.kill(process.pid, number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
    return True


def halt(stage: psutil.Process) -> bool:
    """Halt a process; return False if it is just ending, in which signals have no effect."""
    try:
        stage.suspend()
        while stage.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            time.sleep(0.01)
        return bool(stage.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def all_end(checkout: Checkout, process: subprocess.Popen[str], within: float) -> bool:
    """Return whether a command and every process in the checkout end in time."""
    deadline = time.monotonic() + within
    while process.poll() is None or processes_below(checkout.root):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.slow
@pytest.mark.xdist_group("killed")
@pytest.mark.fault(
    "a signal to DVC, to make, to a stage or to all of them, during a training",
    "non-zero; no process, traceback, output or temporary file is left",
)
@pytest.mark.parametrize(
    ("command", "whom", "number"),
    [
        ("dvc repro {}", "the group", signal.SIGINT),
        ("dvc repro {}", "the command", signal.SIGTERM),
        ("dvc repro {}", "the command", signal.SIGHUP),
        ("dvc repro {}", "the command", signal.SIGKILL),
        ("dvc repro {}", "the stage", signal.SIGINT),
        ("dvc repro {}", "the stage", signal.SIGTERM),
        ("make VENV= {}", "the group", signal.SIGINT),
        ("make VENV= {}", "the command", signal.SIGTERM),
        ("make VENV= {}", "the command", signal.SIGKILL),
    ],
)
def test_nothing_is_left_of_a_killed_training(
    checkout: Checkout, command: str, whom: str, number: int
) -> None:
    checkout.set({"train.epochs": 1000})
    checkout.run("dvc", "repro", "--quiet", "recipes")
    with started(checkout, *command.format(TRAIN).split()) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "Average loss" in line)
        strike(checkout, process, whom, number)
        assert all_end(checkout, process, within=10)
        output = process.stdout.read()
    assert process.returncode != 0
    assert "Traceback" not in output
    assert list(checkout.root.glob("weights/*")) == []


@pytest.mark.fault(
    "SIGTERM to DVC or to its stage, in code in which Python discards exceptions",
    "the stage still ends within seconds",
)
@pytest.mark.parametrize("whom", ["DVC", "the stage"])
def test_stage_ends_when_sigterm_exception_is_swallowed(whom: str, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import time\n"
        "from stages.command import run\n"
        "class Deaf:\n"
        "    def __del__(self):\n"
        "        print('working', flush=True)\n"
        "        time.sleep(600)\n"
        "def main():\n"
        "    while True:\n"
        "        Deaf()\n"
        "run(main)\n",
        encoding="utf-8",
    )
    environment = os.environ | {"DVC_STAGE": "deaf", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        ["sh", "-c", f"'{sys.executable}' '{deaf}' & wait"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (stage,) = psutil.Process(parent.pid).children()
        (parent if whom == "DVC" else stage).terminate()
        assert parent.stdout.readline() == b"working\n"  # SIGTERM came, and was lost
        assert psutil.wait_procs([stage], timeout=20)[0] == [stage]


@pytest.mark.fault(
    "SIGTERM to a stage whose work is done, while Python shuts down",
    "non-zero, so DVC does not start the next stage",
)
def test_stage_fails_on_sigterm_during_shutdown(tmp_path: Path) -> None:
    code = (
        "import atexit, time\n"
        "from stages.command import run\n"
        "atexit.register(time.sleep, 30)\n"
        "atexit.register(print, 'shutting down', flush=True)\n"
        "run(lambda: None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as stage:
        assert stage.stdout is not None
        assert stage.stdout.readline() == b"shutting down\n"
        stage.terminate()
        assert stage.wait(timeout=20) == -signal.SIGTERM


@pytest.mark.slow
@pytest.mark.xdist_group("killed")
@pytest.mark.fault(
    "kill -9 in the third of four epochs, then RESUME=1",
    "no completed epoch is repeated; the bytes are those of an uninterrupted training",
)
def test_resumed_training_repeats_no_epoch(checkout: Checkout) -> None:
    weights, history = checkout.root / WEIGHTS, checkout.root / HISTORY
    checkout.set({"train.epochs": 4})
    checkout.run("dvc", "repro", "--quiet", "recipes")
    with started(checkout, "dvc", "repro", TRAIN) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "EPOCH: 2" in line)
        strike(checkout, process, "the stage", signal.SIGKILL)
        assert all_end(checkout, process, within=30)
    assert not weights.exists()
    output = checkout.run("env", "RESUME=1", "dvc", "repro", TRAIN)
    assert re.findall(r"EPOCH: (\d)", output) == ["2", "3"]
    resumed = weights.read_bytes(), history.read_bytes()
    # Until DVC has recorded it, a training can still be lost.
    assert list(checkout.root.glob("checkpoints/*"))
    checkout.run("dvc", "repro", EVALUATE)
    assert not list(checkout.root.glob("checkpoints/*"))

    again = ("dvc", "repro", "--force", "--single-item", TRAIN)
    output = checkout.run("env", "RESUME=1", *again)
    assert "No checkpoint" in output
    assert re.findall(r"EPOCH: (\d)", output) == ["0", "1", "2", "3"]
    assert (weights.read_bytes(), history.read_bytes()) == resumed


def recorded(checkout: Checkout) -> dict[str, object]:
    """Return what DVC has recorded, by stage; nothing in a study that has not run."""
    lock = checkout.root / "dvc.lock"
    return dict(yaml.safe_load(lock.read_text("utf-8"))["stages"]) if lock.exists() else {}


@pytest.mark.slow
@pytest.mark.fault(
    "SIGINT, SIGTERM or SIGKILL to `dvc repro`, `make repro` or their stages at random moments",
    "non-zero, no process left; what DVC has recorded is complete; `dvc repro` continues, and ends"
    " with the bytes of an undisturbed run",
    MOMENTS,
)
def test_repro_continues_after_kills_at_random_moments(tmp_path: Path, mnist_folder: Path) -> None:
    undisturbed = one_model.create(tmp_path / "undisturbed", mnist_folder)
    checkout = one_model.create(tmp_path / "killed", mnist_folder)
    before, recorded_before = undisturbed.outputs(), recorded(undisturbed)
    begun = time.monotonic()
    undisturbed.run("dvc", "repro")
    duration = time.monotonic() - begun
    after, recorded_after = undisturbed.outputs(), recorded(undisturbed)

    chance = random.Random(6)
    number = 0
    while number < MOMENTS:
        signal_number = SIGNALS[number % 3]
        command = ("dvc repro", "make VENV= JOBS=2 repro")[number // 3 % 2].split()
        # DVC takes no notice of SIGINT while a stage runs: Ctrl-C reaches the stage as well.
        whom = "the group" if signal_number == signal.SIGINT else "the command"
        struck = False
        with started(checkout, *command) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.02, 0.3) * duration)
            if number % 4 == 3 and stages(checkout):
                whom = "the stage"
            while process.poll() is None and not struck:  # between two stages there is none
                struck = strike(checkout, process, whom, signal_number)
            assert all_end(checkout, process, within=duration)
        if not struck:
            # Completed stages are kept, so all of them are complete at last. Start again.
            assert process.returncode == 0
            assert checkout.outputs() == after
            checkout.run("git", "reset", "--quiet", "--hard")
            checkout.run("git", "clean", "-dxfq")
            continue
        assert process.returncode != 0, (command, whom, signal_number)
        for path, content in checkout.outputs().items():
            if not Path(path).name.startswith("."):
                assert content in (before.get(path), after.get(path)), path
        for stage, record in recorded(checkout).items():
            assert record in (recorded_before.get(stage), recorded_after.get(stage)), stage
        # .gitignore names the temporary files of killed writers.
        assert not [path for path in checkout.changed() if "/." in path]
        number += 1

    checkout.run("dvc", "repro")
    assert checkout.outputs() == after
    assert recorded(checkout) == recorded_after
