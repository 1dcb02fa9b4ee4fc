"""DVC, make and the stages ended by signals: nothing half done counts as done, nothing runs on."""

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

from experiments.queue import processes
from tests.checkout import ROOT, Checkout
from tests.faults import one_model
from tests.test_pipeline import SMALL

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
MOMENTS = 20


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which everything is fetched and nothing trained."""
    checkout = Checkout.create(tmp_path_factory.mktemp("killed"), mnist_folder)
    checkout.set(SMALL)
    checkout.commit("Small")
    checkout.run("dvc", "repro", "--quiet", "download")
    return checkout


@pytest.fixture
def checkout(fresh: Checkout) -> Iterator[Checkout]:
    yield fresh
    fresh.restore()


@contextmanager
def started(checkout: Checkout, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and leave nothing of it behind."""
    with checkout.start(*command) as process:
        try:
            yield process
        finally:
            for each in processes(checkout.root):
                with suppress(psutil.NoSuchProcess):
                    each.kill()


def stages(checkout: Checkout) -> list[psutil.Process]:
    """The stages at work, without the shells that started them."""
    found = []
    for process in processes(checkout.root):
        with suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:2] == ["-m"] and "stages." in process.cmdline()[2]:
                found.append(process)
    return found


def strike(checkout: Checkout, process: subprocess.Popen[str], whom: str, number: int) -> bool:
    """Send a signal to the command alone, to its whole group as Ctrl-C does, or to its stages.

    Returns whether there was anybody to get it.
    """
    try:
        if whom == "the group":
            os.killpg(process.pid, number)
        elif whom == "the stage":
            at_work = stages(checkout)
            for stage in at_work:
                stage.send_signal(number)
            return bool(at_work)
        else:
            os.kill(process.pid, number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
    return True


def all_end(checkout: Checkout, process: subprocess.Popen[str], within: float) -> bool:
    """Whether a command ends, and all that works in the checkout."""
    deadline = time.monotonic() + within
    while process.poll() is None or processes(checkout.root):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.fault(
    "a signal to DVC, to make, to a stage or to all of them, in the middle of a training",
    "non-zero, no process left, no traceback, no output, no temporary file",
)
@pytest.mark.parametrize(
    ("command", "whom", "number"),
    [
        # Where DVC finds no $SHELL, it takes sh, which may stay between it and what it runs.
        ("env SHELL=/bin/sh dvc repro train@model_3", "the command", signal.SIGTERM),
        ("make VENV= train@model_3", "the command", signal.SIGKILL),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                ("env SHELL=/bin/bash dvc repro train@model_3", "the command", signal.SIGTERM),
                ("dvc repro train@model_3", "the group", signal.SIGINT),
                ("dvc repro train@model_3", "the command", signal.SIGHUP),
                ("dvc repro train@model_3", "the command", signal.SIGKILL),
                ("dvc repro train@model_3", "the stage", signal.SIGINT),
                ("dvc repro train@model_3", "the stage", signal.SIGTERM),
                ("make VENV= train@model_3", "the group", signal.SIGINT),
                ("make VENV= train@model_3", "the command", signal.SIGTERM),
            ]
        ),
    ],
)
def test_killed_in_training(checkout: Checkout, command: str, whom: str, number: int) -> None:
    checkout.set({"train.epochs": 1000})
    with started(checkout, *command.split()) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "Test set: " in line)
        strike(checkout, process, whom, number)
        assert all_end(checkout, process, within=10)
        last_words = process.stdout.read()
    assert process.returncode != 0
    assert "Traceback" not in last_words
    assert not list(checkout.root.glob("weights/.*"))
    assert not (checkout.root / "weights/model_3.safetensors").exists()


@pytest.mark.fault(
    "SIGTERM to DVC while its stage is where Python drops what a signal raises",
    "the stage ends all the same, within seconds",
)
def test_killed_in_vain(tmp_path: Path) -> None:
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
        parent.terminate()
        assert parent.stdout.readline() == b"working\n"  # SIGTERM came, and was lost
        assert psutil.wait_procs([stage], timeout=20)[0] == [stage]


@pytest.mark.fault(
    "SIGTERM to a stage that has done its work, while Python shuts down",
    "non-zero: DVC does not go on to the next stage",
)
def test_killed_in_shutting_down(tmp_path: Path) -> None:
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


@pytest.mark.fault(
    "kill -9 in the last epoch but one of a training, which then goes on with RESUME=1",
    "no epoch is trained twice, and the bytes are those of a training that was never ended",
)
def test_killed_and_resumed(checkout: Checkout) -> None:
    weights = checkout.root / "weights/model_3.safetensors"
    history = checkout.root / "metrics/history/model_3.csv"
    checkout.set({"train.epochs": 4})
    with started(checkout, "dvc", "repro", "train@model_3") as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "EPOCH: 2" in line)
        strike(checkout, process, "the stage", signal.SIGKILL)
        assert all_end(checkout, process, within=30)
    assert not weights.exists()
    said = checkout.run("env", "RESUME=1", "dvc", "repro", "train@model_3")
    assert re.findall(r"EPOCH: (\d)", said) == ["2", "3"]
    resumed = weights.read_bytes(), history.read_bytes()
    # Until DVC has recorded it, a training can still be lost.
    assert list(checkout.root.glob("checkpoints/*"))
    checkout.run("dvc", "repro", "evaluate@model_3")
    assert not list(checkout.root.glob("checkpoints/*"))

    again = ("dvc", "repro", "--force", "--single-item", "train@model_3")
    said = checkout.run("env", "RESUME=1", *again)
    assert "No checkpoint of this recipe and code: from the beginning" in said
    assert re.findall(r"EPOCH: (\d)", said) == ["0", "1", "2", "3"]
    assert (weights.read_bytes(), history.read_bytes()) == resumed


@pytest.mark.fault("kill -9 while a file is written", "the next writer removes what was left")
def test_killed_in_writing(checkout: Checkout) -> None:
    half = checkout.root / "summaries"
    half.mkdir(exist_ok=True)
    with subprocess.Popen(["true"]) as ended:
        pass
    left, mine = (
        half / f".model_3.{ended.pid}.txt",
        half / f".model_3.{os.getpid()}.txt",
    )
    for path in (left, mine):
        path.write_text("half", encoding="utf-8")
    checkout.run("dvc", "repro", "--force", "summarize@model_3")
    assert not left.exists()
    assert mine.exists()
    mine.unlink()
    status = checkout.run("git", "status", "--porcelain", "--untracked-files=all")
    assert re.findall(r"(?m)^\?\?.*", status) == []


def recorded(checkout: Checkout) -> dict[str, object]:
    """What DVC holds for finished, by stage."""
    lock = yaml.safe_load((checkout.root / "dvc.lock").read_text("utf-8"))
    return dict(lock["stages"])


@pytest.mark.slow
@pytest.mark.fault(
    "SIGINT, SIGTERM and SIGKILL to `dvc repro`, to `make repro` and to their stages, at random"
    " moments from the first stage to the last",
    "non-zero, no process left; what DVC holds for finished is whole; `dvc repro` goes on, and ends"
    " with the bytes of an undisturbed run",
    MOMENTS,
)
def test_killed_at_random_moments(tmp_path: Path, mnist_folder: Path) -> None:
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
            # What is finished stays finished, so all of it is at last; and from nothing again.
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
        number += 1

    checkout.run("dvc", "repro")
    assert checkout.outputs() == after
    assert recorded(checkout) == recorded_after
