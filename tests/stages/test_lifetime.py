"""A stage ends with the DVC process that started it, and with the make that called DVC."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from stages import lifetime
from tests.checkout import ROOT, Checkout
from tests.stages import stand_in

SECONDS = 10
"""In which a stage has to end."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    wait = "print('process', os.getpid(), flush=True)\ntime.sleep(600)"
    return stand_in.create(tmp_path_factory.mktemp("lifetime"), mnist_folder, wait)


@contextmanager
def stage_of(process: subprocess.Popen[str]) -> Iterator[psutil.Process]:
    """Wait for the stage that a process starts, and leave neither behind."""
    with process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("process "))
            stage = psutil.Process(int(line.split()[1]))
            try:
                yield stage
            finally:
                with suppress(psutil.NoSuchProcess):
                    stage.kill()
        finally:
            process.kill()


def has_ended(stage: psutil.Process) -> bool:
    return bool(psutil.wait_procs([stage], timeout=SECONDS)[0])


@pytest.mark.fault("kill -9 to DVC while a stage runs", "the stage ends within seconds")
@pytest.mark.parametrize(
    "shell",
    [
        # Where $SHELL is not set, DVC takes sh. Some, such as dash, stay between DVC and the stage.
        pytest.param("/bin/sh", id="sh"),
        pytest.param(
            "/bin/bash",
            id="bash",
            marks=pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash"),
        ),
    ],
)
def test_stage_ends_when_dvc_is_killed(checkout: Checkout, shell: str) -> None:
    with stage_of(checkout.start("env", f"SHELL={shell}", "dvc", "repro")) as stage:
        dvc = next(parent for parent in stage.parents() if "dvc" in " ".join(parent.cmdline()[:2]))
        dvc.kill()
        assert has_ended(stage)
    assert not (checkout.root / "dvc.lock").exists()


WAIT = (
    "import os, time; from stages.command import run;"
    "run(lambda: print('process', os.getpid(), flush=True) or time.sleep(600))"
)


def start(*command: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command here as DVC does."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"DVC_STAGE": "stand_in", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


@pytest.mark.fault("kill -9 to make while DVC runs a stage", "the stage ends within seconds")
def test_stage_ends_when_make_is_killed() -> None:
    """DVC outlives its make."""
    with subprocess.Popen(["sleep", "600"]) as make:
        try:
            with stage_of(start(sys.executable, "-c", WAIT, END_WITH_PID=str(make.pid))) as stage:
                make.kill()
                make.wait()
                assert has_ended(stage)
        finally:
            make.kill()


def test_stage_ends_when_make_has_ended_before_it_started() -> None:
    with subprocess.Popen(["true"]) as make:
        pass
    with start(sys.executable, "-c", WAIT, END_WITH_PID=str(make.pid)) as stage:
        try:
            assert stage.wait(timeout=5 * SECONDS) != 0
        finally:
            stage.kill()


def in_background(code: str, **environment: str) -> subprocess.Popen[str]:
    """Start a shell here that runs Python code, and outlives nothing."""
    return start("sh", "-c", f'"{sys.executable}" -c "{code}" & wait', **environment)


def test_stage_ends_when_dvc_is_killed_while_the_stage_imports() -> None:
    code = (
        f"import os, time, stages; print('process', os.getpid(), flush=True); time.sleep(2); {WAIT}"
    )
    dvc = in_background(code)
    with stage_of(dvc) as stage:
        dvc.kill()
        assert has_ended(stage)


def test_stage_outside_of_dvc_runs_on_when_its_parent_ends() -> None:
    parent = in_background(f"import os; os.environ.pop('DVC_STAGE'); {WAIT}")
    with stage_of(parent) as stage:
        parent.kill()
        parent.wait()
        with pytest.raises(psutil.TimeoutExpired):
            stage.wait(timeout=1.5)


def test_ancestors_that_the_user_may_not_see_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with /proc mounted with hidepid."""
    nearest = psutil.Process().parent()

    def parent(process: psutil.Process) -> psutil.Process | None:
        if process == nearest:
            raise psutil.AccessDenied(process.pid)
        return nearest

    monkeypatch.setattr(psutil.Process, "parent", parent)
    assert [*lifetime.ancestors()] == [nearest]
