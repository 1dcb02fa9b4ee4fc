"""`make experiments`: what is left to do, and the whole of it through real DVC."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import psutil
import pytest
import yaml

import models
from experiments import files, git, local, queue
from experiments.__main__ import lock
from experiments.progress import duration
from experiments.queue import Task
from experiments.results import Results
from experiments.signals import Signals
from stages import paths
from stages.command import SIGNALS
from study.base.errors import UserError
from study.evidence import configurations, run_table
from study.training import history
from study.training.history import Epoch
from tests.checkout import Checkout
from tests.test_experiments import PARAMS, TEXT
from tests.test_pipeline import SMALL

RUNS = configurations.runs(TEXT, PARAMS)
SHORT, PLAIN, LONG = "short-seed-1", "as-it-is-seed-1", "short-seed-7"
HERE = "a"
"""The id of a task that was queued on the commit at hand."""


class FakeQueue:
    """DVC's queue, as experiments/queue.py shows it, in states that it is given."""

    def __init__(self) -> None:
        self.states: list[list[Task]] = [[]]
        self.workers = 0
        self.calls: list[object] = []

    def tasks(self) -> list[Task]:
        """The next state; the last one stays."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@pytest.fixture
def dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQueue]:
    fake = FakeQueue()
    monkeypatch.chdir(tmp_path)
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    git.call("init", "--quiet")
    git.call("config", "user.name", "A user")
    git.call("config", "user.email", "user@example.org")
    git.call("commit", "--quiet", "--allow-empty", "--message", "As it is")
    revision = git.call("rev-parse", "HEAD").strip()
    monkeypatch.setattr(local, "POLL", 0)
    monkeypatch.setattr(queue, "tasks", fake.tasks)
    monkeypatch.setattr(queue, "commit", lambda task: revision if task.id == HERE else "5f3a")
    monkeypatch.setattr(queue, "workers", lambda: [None] * fake.workers)
    monkeypatch.setattr(queue, "add", lambda run: fake.calls.append(run.name))
    monkeypatch.setattr(queue, "remove", lambda done: fake.calls.append([t.id for t in done]))
    monkeypatch.setattr(queue, "start", lambda jobs: fake.calls.append(jobs))
    monkeypatch.setattr(queue, "stop", lambda: fake.calls.append("stop"))
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield fake
    for number, handler in handlers.items():
        signal.signal(number, handler)


def finish(name: str, **changed: object) -> str:
    """Commit what DVC commits when an experiment is finished, and return its ref.

    `changed` values of params.yaml and metrics are others than the run asks for; None is left out.
    """
    model = RUNS[name].model
    values = VALUES | dict(override.split("=") for override in RUNS[name].overrides)
    written = {
        paths.PARAMS: yaml.safe_dump({k: changed.get(k, v) for k, v in values.items()}),
        paths.metrics(model): json.dumps(
            {
                key: value
                for key in run_table.DECIMALS
                if (value := changed.get(key, 1.5)) is not None
            }
        ),
        paths.history(model): history.to_csv([Epoch(0, 0.5, 97, 0.25, 0.125, 98.1)]),
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        git.call("add", str(path))
    revision = git.call("rev-parse", "HEAD").strip()
    tree = git.call("write-tree").strip()
    commit = git.call("commit-tree", "-p", revision, "-m", "dvc: commit experiment", tree).strip()
    ref = f"refs/exps/{revision[:2]}/{revision[2:]}/{name}"
    git.call("update-ref", ref, commit)
    return ref


def work(names: list[str]) -> list[str]:
    """Run what is left; return what has no row in the end."""
    results = Results({name: RUNS[name] for name in names}, git.call("rev-parse", "HEAD").strip())
    if left := results.update():
        local.work(2, results, left, Signals())
    return results.update()


def test_nothing_to_do(dvc: FakeQueue) -> None:
    finish(SHORT)
    finish(PLAIN)
    assert work([SHORT, PLAIN]) == []
    assert dvc.calls == []
    assert [row.name for row in files.rows()] == [PLAIN, SHORT]


def test_a_row_is_what_was_committed(dvc: FakeQueue) -> None:
    finish(SHORT, accuracy=98.1, loss=0.0512)
    work([SHORT])
    (row,) = files.rows()
    assert (row.model, row.recipe) == ("model_5", RUNS[SHORT].recipe)
    assert row.revision == git.call("rev-parse", "HEAD").strip()
    assert (row.metrics["accuracy"], row.metrics["loss"]) == ("98.10", "0.0512")
    assert (row.metrics["last_epochs_std"], row.metrics["parameters"]) == ("1.500", "2")
    assert row.test_accuracies == (98.1,)


def test_a_row_is_enough(dvc: FakeQueue) -> None:
    """As in a clone, whose DVC knows of no experiment."""
    ref = finish(SHORT)
    work([SHORT])
    git.call("update-ref", "-d", ref)
    assert work([SHORT]) == []
    assert dvc.calls == []


def test_what_does_not_count_as_finished(dvc: FakeQueue) -> None:
    finish(SHORT)
    git.call("commit", "--quiet", "--allow-empty", "--message", "Another commit")
    finish(PLAIN, **{"train.momentum": 0.8})
    finish(LONG, loss=None)
    left = [SHORT, PLAIN, LONG]
    assert work(left) == left
    assert dvc.calls == [[], *left]
    assert not paths.RUNS.exists()


def test_what_is_in_the_queue_is_not_queued_again(dvc: FakeQueue) -> None:
    tasks = [Task(HERE, SHORT, "Running"), Task(HERE, PLAIN, "Queued")]
    dvc.states = [tasks, []]
    dvc.workers = 1
    work([SHORT, PLAIN, LONG])
    assert dvc.calls == [[], LONG]


def test_failed_tasks_and_those_of_another_commit_are_queued_again(dvc: FakeQueue) -> None:
    failed, old = Task(HERE, SHORT, "Failed"), Task("b", PLAIN, "Queued")
    tasks = [failed, old, Task(HERE, "of-the-user", "Failed"), Task(HERE, PLAIN, "Success")]
    dvc.states = [tasks, []]
    work([SHORT, PLAIN])
    assert dvc.calls == [[failed.id, old.id], SHORT, PLAIN]


@pytest.mark.parametrize(("workers", "task"), [(0, HERE), (1, "b")])
def test_what_runs_without_a_worker_or_of_another_commit_is_ended(
    dvc: FakeQueue, workers: int, task: str
) -> None:
    dvc.states = [[Task(task, SHORT, "Running")], [Task(task, SHORT, "Failed")], []]
    dvc.workers = workers
    work([SHORT])
    assert dvc.calls == ["stop", [task], SHORT]


def test_workers_that_stopped_early_are_started_again(
    dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([0, 2, 1, 2, 1, 1])
    monkeypatch.setattr(queue, "workers", lambda: [None] * next(counts))
    queued, running = Task("a", SHORT, "Queued"), Task("b", PLAIN, "Running")
    dvc.states = [[], [queued], *[[queued, running]] * 3, [running], [running], []]
    work([SHORT, PLAIN])
    assert dvc.calls == [[], SHORT, PLAIN, 2, 2]


def test_a_worker_that_died_takes_its_run_with_it(dvc: FakeQueue) -> None:
    dvc.states = [[], [Task("b", PLAIN, "Running")], [Task("b", PLAIN, "Failed")]]
    assert work([PLAIN]) == [PLAIN]
    assert dvc.calls == [[], PLAIN, "stop"]


def test_a_run_that_is_taken_up_while_dvc_looks(dvc: FakeQueue) -> None:
    """It is in neither state then, and not yet at its end."""
    dvc.workers = 1
    dvc.states = [[], [], [Task("b", PLAIN, "Running")], [], [Task("b", PLAIN, "Failed")]]
    work([PLAIN])
    assert dvc.states == [[Task("b", PLAIN, "Failed")]]


def test_the_ledger_grows_with_each_success(
    dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    dvc.workers = 1

    def tasks() -> list[Task]:
        seen.append([row.name for row in files.rows()])
        if len(seen) == 1:
            return []
        finish(SHORT)
        state = "Running" if len(seen) == 2 else "Failed"
        return [Task("a", SHORT, "Success"), Task("b", PLAIN, state)]

    monkeypatch.setattr(queue, "tasks", tasks)
    assert work([SHORT, PLAIN]) == [PLAIN]
    assert seen == [[], [], [SHORT]]


def test_progress(dvc: FakeQueue, capsys: pytest.CaptureFixture[str]) -> None:
    queued, running = Task("a", SHORT, "Queued"), Task("b", PLAIN, "Running")
    failed = Task("b", PLAIN, "Failed")
    dvc.states = [[], [queued, running], [queued, running], [queued, failed], [failed]]
    dvc.workers = 2
    work([SHORT, PLAIN])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "0 of 2 done, 1 running, 1 queued, 0 failed",
        "0 of 2 done, 0 running, 1 queued, 1 failed, about 1 min left",
        "0 of 2 done, 0 running, 0 queued, 1 failed",
    ]


def test_a_signal_ends_the_workers(dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    dvc.states = [[], [Task("b", PLAIN, "Queued")]]
    monkeypatch.setattr(queue, "start", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert work([PLAIN]) == [PLAIN]
    assert dvc.calls == [[], PLAIN, "stop"]


def test_a_signal_ends_the_queueing(dvc: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(run: configurations.Run) -> None:
        dvc.calls.append(run.name)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(queue, "add", add)
    assert work([SHORT, PLAIN]) == [SHORT, PLAIN]
    assert dvc.calls == [[], SHORT, "stop"]


@pytest.mark.usefixtures("dvc")
def test_only_one_at_a_time() -> None:
    with lock(), pytest.raises(UserError, match="is running already"), lock():
        pass
    with lock():
        pass


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "1 min"), (150, "2 min"), (3590, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# Through DVC


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    checkout = Checkout.create(tmp_path_factory.mktemp("many_runs"), mnist_folder)
    checkout.set(SMALL)
    checkout.commit("Small")
    return checkout


@pytest.mark.parametrize("jobs", ["0", "-1", "two", ""])
def test_jobs_that_are_no_number(checkout: Checkout, jobs: str) -> None:
    _, output = checkout.attempt("python", "-m", "experiments", f"--jobs={jobs}")
    assert re.fullmatch(r"error: JOBS = \S+: give a whole number, at least 1\n", output)


def test_changes_that_are_not_committed(checkout: Checkout) -> None:
    checkout.edit("models/model_3.py", "conv(1, 8, 3)", "conv(1,  8, 3)")
    _, output = checkout.attempt("python", "-m", "experiments", "--jobs=1")
    checkout.restore()
    assert output.startswith("error: models/model_3.py: changed and not committed")
    assert output.count("\n") == 1


def test_check(checkout: Checkout) -> None:
    """The metrics in Git are those of the whole study, and params.yaml asks for a small one."""
    command = ("python", "-m", "experiments.check")
    path = checkout.root / paths.RUNS
    path.unlink(missing_ok=True)
    assert checkout.run(*command) == ""
    values = VALUES | SMALL
    text = (checkout.root / paths.EXPERIMENTS).read_text("utf-8")
    run = configurations.read(text, values, models.names())["model-3-seed-1"]
    written = run_table.format_metrics(dict.fromkeys(run_table.DECIMALS, 0.0))
    row = run_table.Row(run.configuration, run.model, run.recipe, "5f3a", written, (0.0,))
    path.write_text(run_table.to_csv([row]), encoding="utf-8")
    status, output = checkout.attempt(*command)
    path.unlink()
    assert status == 1
    assert output.startswith("metrics/runs.csv line 2: model-3-seed-1: accuracy = 0.00, me")
    assert len(output.splitlines()) >= 5


TWO = """\
seeds: [1, 2]
configurations:
  - id: fine
    model: model_3
    description: Model 3 as it is
  - id: broken
    model: model_1
    description: a network that cannot be built
    set: {train.dropout: 0.5}
"""


@contextmanager
def make_experiments(checkout: Checkout, *variables: str) -> Iterator["subprocess.Popen[str]"]:
    """`make experiments`, which has ten minutes."""
    # With the packages that the tests run with, instead of a .venv of its own.
    with checkout.start("make", "VENV=", "JOBS=2", *variables, "experiments") as make:
        timer = Timer(600, os.killpg, (make.pid, signal.SIGKILL))
        timer.start()
        yield make
        make.wait()
        timer.cancel()


def at_work(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder or below."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            # A folder that is gone stands there as deleted.
            if process.cwd().startswith(str(folder)):
                found.append(process)
    return found


@pytest.mark.slow
def test_interrupted_and_started_again(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.root / paths.EXPERIMENTS).write_text(TWO, encoding="utf-8")
    (checkout.root / paths.RUNS).unlink(missing_ok=True)
    checkout.edit(
        "models/model_1.py",
        "    return nn.Sequential(",
        '    if dropout == 0.5:\n        raise ValueError("broken")\n    return nn.Sequential(',
    )
    # Who has been trained is written down, and the second seed waits until it may.
    trained, go = tmp_path / "trained", tmp_path / "go"
    checkout.edit(
        "stages/train.py",
        "    write(paths.weights(model)",
        f"""\
    import pathlib, time
    while recipe.seed == 2 and not pathlib.Path({str(go)!r}).exists():
        time.sleep(0.1)
    with open({str(trained)!r}, "a") as file:
        print(model, recipe.seed, file=file)
    write(paths.weights(model)""",
    )
    checkout.commit("Two experiments")
    text = ""
    with make_experiments(checkout) as make:
        assert make.stdout is not None
        for line in make.stdout:
            text += line
            if "1 of 4 done, 1 running, 0 queued, 2 failed" in line:
                # Of the terminal's group, as Ctrl-C is.
                os.killpg(make.pid, signal.SIGINT)
    assert make.returncode != 0, text
    assert "stopped; 3 of 4 to go: `make experiments` goes on" in text
    assert "Traceback" not in text
    assert at_work(checkout.root) == []
    assert [row.name for row in rows(checkout)] == ["fine-seed-1"]
    assert trained.read_text() == "model_3 1\n"

    go.touch()
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode != 0, text
    queued = re.findall("^queueing (.*)$", text, re.MULTILINE)
    assert queued == ["broken-seed-1", "fine-seed-2", "broken-seed-2"]
    failed = re.findall(r"^failed: (\S+), a network that cannot be built: `(.*)` ", text, re.M)
    assert failed == [(f"broken-seed-{n}", f"dvc queue logs broken-seed-{n}") for n in (1, 2)]
    assert "ValueError: broken" in checkout.run(*failed[0][1].split())
    assert trained.read_text() == "model_3 1\nmodel_3 2\n"
    assert [row.name for row in rows(checkout)] == ["fine-seed-1", "fine-seed-2"]
    for row in rows(checkout):
        assert row.recipe.train_images == SMALL["train.train_images"]
        assert row.revision == checkout.run("git", "rev-parse", "HEAD").strip()
        metrics = checkout.run(
            "git", "show", f"{reference(checkout, row.name)}:metrics/model_3.json"
        )
        assert f'"accuracy": {float(row.metrics["accuracy"])},' in metrics
    assert checkout.run("git", "status", "--porcelain").split() == ["??", str(paths.RUNS)]

    checkout.commit("The ledger")
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert "queueing fine" not in text


def rows(checkout: Checkout) -> list[run_table.Row]:
    return run_table.from_csv((checkout.root / paths.RUNS).read_text("utf-8"))


def reference(checkout: Checkout, name: str) -> str:
    """Git's name for a finished experiment."""
    (line,) = checkout.run("git", "for-each-ref", f"refs/exps/**/{name}").splitlines()
    return line.split()[0]
