"""Which runs workers get, what becomes of the results, and when that ends."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments import git, local
from experiments.collect import Collector
from experiments.folder import FOLDER, RATES, log
from experiments.signals import Signals
from experiments.status_line import StatusLine, duration
from stages import project_files
from study.base.files import write
from study.evidence.configurations import Run
from tests.experiments.examples import DEFAULT, LONG, RUNS, SHORT, finish

OTHER = "default-seed-7"


class FakeWorker:
    """Replaces a worker: a run succeeds or fails at once."""

    log = "\nRunning stage 'train@model_1':\n"

    def __init__(self, name: str, calls: list[str], fails: set[str]) -> None:
        self.name, self.calls, self.fails = name, calls, fails
        self.run = ""
        self.answers, self.end = os.pipe()

    def start(self, run: Run) -> None:
        self.run = run.name
        self.calls.append(f"{self.name} {run.name}")
        write(log(run.name), self.log)
        os.write(self.end, b".")

    def has_succeeded(self) -> bool:
        os.read(self.answers, 1)
        return self.run not in self.fails

    def kill(self) -> None:
        self.calls.append(f"{self.name} killed")


@pytest.fixture
def fails() -> set[str]:
    """The runs that are to fail."""
    return set()


@pytest.fixture
def calls(repository: Path, monkeypatch: pytest.MonkeyPatch, fails: set[str]) -> list[str]:
    """Replace workers and DVC's commits; return the list to which workers add what they do."""
    calls: list[str] = []
    FOLDER.mkdir(parents=True)

    @contextmanager
    def workers(_: str) -> Iterator[Callable[[str], FakeWorker]]:
        yield lambda name: FakeWorker(name, calls, fails)

    monkeypatch.setattr(local, "workers", workers)
    monkeypatch.setattr(Collector, "fetch", lambda _self, _source, name: finish(name))
    return calls


def run_all(jobs: int, *names: str) -> list[str]:
    """Run what remains of these runs; return those without a row in the end."""
    collector = Collector(RUNS, git.call("rev-parse", "HEAD").strip(), names)
    if remaining := collector.update():
        local.run_all(jobs, collector, remaining, Signals())
    return collector.update()


def test_workers_get_the_selected_runs_without_a_row_in_order(calls: list[str]) -> None:
    run_all(1, SHORT)
    assert run_all(2, DEFAULT, SHORT, OTHER, LONG) == []
    assert calls == ["0 " + SHORT, "0 " + DEFAULT, "1 " + OTHER, "0 " + LONG]
    assert {row.name for row in project_files.rows()} == {DEFAULT, SHORT, OTHER, LONG}


def test_failed_run_does_not_stop_the_others(calls: list[str], fails: set[str]) -> None:
    """And its worker is replaced: it may have left anything behind."""
    fails.add(DEFAULT)
    assert run_all(1, DEFAULT, SHORT) == [DEFAULT]
    assert calls == ["0 " + DEFAULT, "0 killed", "0 " + SHORT]


def test_run_table_grows_with_each_success(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    start = FakeWorker.start

    def look(self: FakeWorker, run: Run) -> None:
        seen.append([row.name for row in project_files.rows()])
        start(self, run)

    monkeypatch.setattr(FakeWorker, "start", look)
    run_all(1, DEFAULT, SHORT, LONG)
    assert seen == [[], [DEFAULT], [DEFAULT, SHORT]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_runs(
    calls: list[str], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that is there already is kept."""
    fetch = Collector.fetch

    def signaled(self: Collector, source: Path, name: str) -> None:
        os.kill(os.getpid(), number)
        fetch(self, source, name)

    monkeypatch.setattr(Collector, "fetch", signaled)
    # As in a terminal, also if the tests themselves run under nohup.
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)
    assert run_all(1, DEFAULT, SHORT) == [SHORT]
    assert calls == ["0 " + DEFAULT]


@pytest.mark.usefixtures("calls")
def test_hang_up_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Signals()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_log_of_a_worker_that_has_ended_says_so(repository: Path) -> None:
    """This one ends at once: its folder has no study."""
    write(log(SHORT), "of an earlier attempt\n")
    worker = local.Worker("0", repository)
    worker.process.wait()
    worker.start(RUNS[SHORT])
    assert not worker.has_succeeded()
    assert "has ended" in log(SHORT).read_text("utf-8")
    worker.kill()
    worker.kill()


# The status line


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines printed since the last call."""
    return capsys.readouterr().out.splitlines()


def test_status_line_shows_counts_when_they_change(
    calls: list[str], fails: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fails.add(DEFAULT)
    run_all(1, DEFAULT, SHORT)
    assert [line.partition(" failed")[0] for line in lines(capsys)] == [
        "0 of 2 done, 1 running, 1 queued, 0",
        "0 of 2 done, 1 running, 0 queued, 1",
        "1 of 2 done, 0 running, 0 queued, 1",
    ]


def test_estimate_ignores_runs_from_the_cache(
    calls: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(FakeWorker, "log", "\nStage 'train@model_1' is cached - skipping run\n")
        run_all(1, DEFAULT, SHORT)
    assert not any("left" in line for line in lines(capsys))
    run_all(1, OTHER, LONG)
    assert ["left" in line for line in lines(capsys)] == [False, True, False]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The time that the status line sees, under the key `now`."""
    clock = {"now": 0.0}
    monkeypatch.setattr("time.monotonic", lambda: clock["now"])
    return clock


def test_status_line_estimates_from_this_and_earlier_durations(
    repository: Path, clock: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    """In seconds per epoch: SHORT and LONG have 3 epochs each, DEFAULT 15."""
    collector = Collector(RUNS, "5f3a", [DEFAULT, SHORT, LONG])
    status = StatusLine(collector)
    status.show(3, [SHORT], [DEFAULT, LONG], 0)
    clock["now"] = 360
    status.finish(SHORT)
    status.show(2, [DEFAULT], [LONG], 0)  # 15 × 120 s and 3 × 120 s
    assert [line.partition(" failed")[2] for line in lines(capsys)] == [
        "",
        ", 10 per hour, about 36 min left",
    ]
    clock["now"] += 900
    status.finish(DEFAULT)
    status = StatusLine(collector)
    status.show(3, [DEFAULT, SHORT], [LONG], 0)  # 15 × 60 s and 6 × 120 s, two at once
    clock["now"] += 60
    status.show(3, [DEFAULT, SHORT], [], 1)
    assert [line.partition(" failed")[2] for line in lines(capsys)] == [
        ", about 14 min left",
        ", about 10 min left",
    ]


def test_damaged_rates_are_ignored(repository: Path) -> None:
    write(RATES, "")
    assert StatusLine(Collector(RUNS, "5f3a")).rates == {}


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "1 min"), (150, "2 min"), (3590, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_duration_is_rounded_to_minutes(seconds: float, words: str) -> None:
    assert duration(seconds) == words
