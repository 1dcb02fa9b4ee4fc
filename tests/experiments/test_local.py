"""Driving DVC's queue: which runs are queued, and when the queue counts as finished."""

import os
import signal

import pytest

from experiments import git, local, project_files, queue
from experiments.collect import Collector
from experiments.queue import Task
from experiments.signals import Signals
from experiments.status_line import duration
from study.evidence.configurations import Run
from tests.experiments.examples import DEFAULT, LONG, RUNS, SHORT, finish

CURRENT, OLD = "a", "b"
"""Ids of tasks based on the current commit, and on another one."""


class FakeQueue:
    """Replaces DVC's queue: returns given states, and records the calls."""

    def __init__(self) -> None:
        self.states: list[list[Task]] = [[]]
        self.workers = 0
        self.calls: list[object] = []

    def tasks(self) -> list[Task]:
        """Return the next state; the last one stays."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@pytest.fixture
def dvc(repository: object, monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    fake = FakeQueue()
    revision = git.call("rev-parse", "HEAD").strip()
    monkeypatch.setattr(local, "POLL", 0)
    monkeypatch.setattr(queue, "tasks", fake.tasks)
    monkeypatch.setattr(
        queue, "base_commit", lambda task: revision if task.id == CURRENT else "5f3a"
    )
    monkeypatch.setattr(queue, "workers", lambda: [None] * fake.workers)
    monkeypatch.setattr(queue, "add", lambda run: fake.calls.append(run.name))
    monkeypatch.setattr(queue, "remove", lambda done: fake.calls.append([t.id for t in done]))
    monkeypatch.setattr(queue, "start", lambda jobs: fake.calls.append(jobs))
    monkeypatch.setattr(queue, "stop", lambda: fake.calls.append("stop"))
    return fake


def run_all(*names: str) -> list[str]:
    """Run what remains of these runs; return those without a row in the end."""
    runs = {name: RUNS[name] for name in names}
    collector = Collector(runs, git.call("rev-parse", "HEAD").strip())
    if remaining := collector.update():
        local.run_all(2, collector, remaining, Signals())
    return collector.update()


def test_queued_and_running_tasks_are_not_queued_again(dvc: FakeQueue) -> None:
    dvc.states = [[Task(CURRENT, SHORT, "Running"), Task(CURRENT, DEFAULT, "Queued")], []]
    dvc.workers = 1
    run_all(SHORT, DEFAULT, LONG)
    assert dvc.calls == [[], LONG]


def test_failed_tasks_and_those_of_another_commit_are_queued_again(dvc: FakeQueue) -> None:
    failed, old = Task(CURRENT, SHORT, "Failed"), Task(OLD, DEFAULT, "Queued")
    others = [Task(CURRENT, "of-the-user", "Failed"), Task(CURRENT, DEFAULT, "Success")]
    dvc.states = [[failed, old, *others], []]
    run_all(SHORT, DEFAULT)
    assert dvc.calls == [[failed.id, old.id], SHORT, DEFAULT]


@pytest.mark.parametrize(("workers", "task"), [(0, CURRENT), (1, OLD)])
def test_running_task_without_worker_or_of_another_commit_is_stopped(
    dvc: FakeQueue, workers: int, task: str
) -> None:
    dvc.states = [[Task(task, SHORT, "Running")], [Task(task, SHORT, "Failed")], []]
    dvc.workers = workers
    run_all(SHORT)
    assert dvc.calls == ["stop", [task], SHORT]


def test_workers_that_stop_early_are_restarted(
    dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([0, 2, 1, 2, 1, 1])
    monkeypatch.setattr(queue, "workers", lambda: [None] * next(counts))
    queued, running = Task("a", SHORT, "Queued"), Task("b", DEFAULT, "Running")
    dvc.states = [[], [queued], *[[queued, running]] * 3, [running], [running], []]
    run_all(SHORT, DEFAULT)
    assert dvc.calls == [[], SHORT, DEFAULT, 2, 2]


def test_run_fails_if_its_worker_dies(dvc: FakeQueue) -> None:
    dvc.states = [[], [Task("b", DEFAULT, "Running")], [Task("b", DEFAULT, "Failed")]]
    assert run_all(DEFAULT) == [DEFAULT]
    assert dvc.calls == [[], DEFAULT, "stop"]


def test_run_that_starts_while_dvc_lists_the_queue_is_awaited(dvc: FakeQueue) -> None:
    """DVC then lists it neither as queued nor as running."""
    dvc.workers = 1
    dvc.states = [[], [], [Task("b", DEFAULT, "Running")], [], [Task("b", DEFAULT, "Failed")]]
    run_all(DEFAULT)
    assert dvc.states == [[Task("b", DEFAULT, "Failed")]]


def test_run_table_grows_with_each_success(dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    dvc.workers = 1

    def tasks() -> list[Task]:
        seen.append([row.name for row in project_files.rows()])
        if len(seen) == 1:
            return []
        finish(SHORT)
        state = "Running" if len(seen) == 2 else "Failed"
        return [Task("a", SHORT, "Success"), Task("b", DEFAULT, state)]

    monkeypatch.setattr(queue, "tasks", tasks)
    assert run_all(SHORT, DEFAULT) == [DEFAULT]
    assert seen == [[], [], [SHORT]]


def test_status_line_shows_counts_when_they_change(
    dvc: FakeQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    queued, running = Task("a", SHORT, "Queued"), Task("b", DEFAULT, "Running")
    failed = Task("b", DEFAULT, "Failed")
    dvc.states = [[], [queued, running], [queued, running], [queued, failed], [failed]]
    dvc.workers = 2
    run_all(SHORT, DEFAULT)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(", about ")[0] for line in lines] == [
        "0 of 2 done, 1 running, 1 queued, 0 failed",
        "0 of 2 done, 0 running, 1 queued, 1 failed",
        "0 of 2 done, 0 running, 0 queued, 1 failed",
    ]
    assert ["left" in line for line in lines] == [False, True, False]


def test_signal_stops_the_workers(dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    dvc.states = [[], [Task("b", DEFAULT, "Queued")]]
    monkeypatch.setattr(queue, "start", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert run_all(DEFAULT) == [DEFAULT]
    assert dvc.calls == [[], DEFAULT, "stop"]


def test_signal_stops_the_queueing(dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(run: Run) -> None:
        dvc.calls.append(run.name)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(queue, "add", add)
    assert run_all(SHORT, DEFAULT) == [SHORT, DEFAULT]
    assert dvc.calls == [[], SHORT, "stop"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "1 min"), (150, "2 min"), (3590, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_duration_is_rounded_to_minutes(seconds: float, words: str) -> None:
    assert duration(seconds) == words
