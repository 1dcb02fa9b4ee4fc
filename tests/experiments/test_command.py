"""`python -m experiments` before it runs anything: arguments, workspace, lock; and the check."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import __main__ as program
from experiments import check, dvc, git, local
from stages import paths, project_files
from study.base.errors import UserError
from study.base.files import write
from study.data import sources
from study.evidence import run_table
from study.training import history
from tests.checkout import ROOT
from tests.evidence.hand_made import rows
from tests.experiments.examples import DEFAULT, LONG, RUNS, SHORT, commit

# Arguments


def error(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return the error of the program with these arguments."""
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments])
    with pytest.raises(UserError) as raised:
        program.main()
    return str(raised.value)


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", ""])
def test_jobs_must_be_a_positive_integer(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = error(monkeypatch, f"--jobs={jobs}")
    assert "JOBS" in message
    assert (jobs or "''") in message
    assert "1" in message


def test_missing_ray_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_spec", lambda _: None)
    message = error(monkeypatch, "--jobs=1", "--ray=auto")
    assert "Ray" in message
    assert "`pip install -r requirements.lock`" in message


def test_help_describes_each_argument() -> None:
    options = program.command_line().format_help().partition("options:")[2].split("\n  -")[1:]
    assert len(options) == 5
    assert all(len(option.split()) > 4 for option in options)


# The selection


def select(*ids: str, seeds: str | None = None) -> list[str]:
    """Return the names of the selected runs of tests.experiments.examples."""
    return program.select(RUNS, ids, seeds)


def test_selection_has_the_given_configurations_and_seeds() -> None:
    assert select() == [*RUNS]
    assert select("short") == [SHORT, LONG]
    assert select(seeds="1") == [DEFAULT, SHORT]
    assert select("short", "default", seeds="2-7") == ["default-seed-7", LONG]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--configurations", "model-1", "model-0"], ("CONFIGURATIONS", "model-0", "model-1,")),
        (["--seeds", "5-1"], ("SEEDS", "5-1", "1-30")),
        (["--seeds", "one"], ("SEEDS", "one", "1-30")),
        (["--seeds", "4000-4001"], ("SEEDS", "4000-4001", "experiments.yaml")),
        (["--configurations", "model-6-no-ema-val", "--seeds", "9"], ("SEEDS", "9")),
    ],
)
def test_impossible_selection_is_named(
    arguments: list[str], parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = error(monkeypatch, "--jobs=1", *arguments)
    assert all(part in message for part in parts)


# The workspace


@pytest.fixture
def study(repository: Path) -> Path:
    """A repository with a committed model."""
    write(Path("models/model_3.py"), "conv(1, 8, 3)\n")
    git.call("add", ".")
    commit("A model")
    return repository


def problem() -> str:
    """Return what is wrong with the workspace."""
    with pytest.raises(UserError) as raised:
        program.check_workspace()
    return str(raised.value)


@pytest.mark.parametrize("folder", [".", "studies/mnist"])
@pytest.mark.parametrize("staged", [False, True])
def test_uncommitted_change_is_named(
    study: Path, folder: str, staged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    for path in ("models/model_1.py", str(paths.RUNS)):
        write(Path(path), "1\n")
    git.call("add", ".")
    commit("More files")
    write(paths.RUNS, "2\n")  # `make experiments` changes it itself
    program.check_workspace()
    write(Path("models/model_1.py"), "2\n")
    if staged:
        git.call("add", "models")
    assert problem().startswith("models/model_1.py ")
    assert "`git restore models/model_1.py`" in problem()


@pytest.mark.parametrize("name", ["models/model_7.py", "study/data/new.py", "stages/new.py"])
def test_untracked_code_is_named(study: Path, name: str) -> None:
    write(study / ".gitignore", "model_8.py\n")
    write(study / "models/model_8.py", "ignored\n")
    write(study / "notes.py", "not imported by a stage\n")
    program.check_workspace()
    write(study / name, "new\n")
    assert problem().startswith(f"{name} ")
    assert f"`git add {name}`" in problem()


def test_missing_commit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "not a git repository" in problem()
    assert "commit the study" in problem()
    git.call("init", "--quiet")
    assert "commit the study" in problem()


def test_remedy_of_git_is_passed_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "dubious ownership" in problem()
    assert f"`git config --global --add safe.directory {study}`" in problem()
    assert "commit the study" not in problem()


def test_rows_that_go_must_be_committed(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(paths.RUNS, "a row\n")
    with pytest.raises(UserError, match=rf"^{paths.RUNS} .*2.*a-seed-1.*commit"):
        program.check_table(["a-seed-1", "a-seed-2"])
    git.call("add", ".")
    commit("Rows")
    program.check_table(["a-seed-1"])
    assert "a-seed-1" in capsys.readouterr().out


def test_rows_go_only_from_a_committed_table_and_closed_trials_stay(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "download", lambda *_: None)
    monkeypatch.setattr(local, "run_all", lambda *_: None)
    for path in (paths.PARAMS, paths.EXPERIMENTS):
        write(path, (ROOT / path).read_text("utf-8"))
    git.call("add", ".")
    commit("A study")
    (closed, *_), gone = project_files.closed(), "model-0"
    written = rows(closed, [99.0], [1]) + rows(gone, [98.0], [1])
    write(paths.RUNS, run_table.to_csv(written))
    assert f"{gone}-seed-1" in error(monkeypatch, "--jobs=1")
    assert {row.configuration for row in project_files.rows()} == {closed, gone}

    git.call("add", ".")
    commit("Rows")
    with pytest.raises(SystemExit):
        program.main()
    assert [row.configuration for row in project_files.rows()] == [closed]


def test_imports_end_without_a_traceback(tmp_path: Path) -> None:
    """When they begin, Python's own handler of Ctrl-C has been replaced."""
    print_handler = "import signal\nprint(signal.getsignal(signal.SIGINT))\nraise SystemExit"
    write(tmp_path / "filelock.py", print_handler)
    done = subprocess.run(
        [sys.executable, "-m", "experiments"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{signal.SIG_DFL}\n"


def test_second_program_is_refused(repository: Path) -> None:
    with program.lock(), pytest.raises(UserError, match="in progress"), program.lock():
        pass
    with program.lock():
        pass


# DVC's errors


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "WARNING: slow\nERROR: unable to read: 'dvc.yaml'\n\nHaving any troubles? Hit us up at"
            " https://dvc.org/support, we are always happy to help!\n",
            "unable to read: 'dvc.yaml'",
        ),
        ("ERROR: one\nERROR: two\n", "one; two"),
        ("Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("", ""),
    ],
)
def test_reason_is_dvcs_error_without_its_advice(output: str, reason: str) -> None:
    assert dvc.reason(output) == reason


def test_failing_dvc_command_raises_its_error(repository: Path) -> None:
    with pytest.raises(UserError, match=r"^dvc status: .*not inside of a DVC repository"):
        dvc.call("status")


# `python -m experiments.check`


def contradictions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that the check prints."""
    monkeypatch.setattr(sys, "argv", ["check"])
    with pytest.raises(SystemExit) as ended:
        check.main()
    return str(ended.value.code or "").splitlines()


def test_check_compares_the_run_table_with_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "model_3"
    for path in (paths.PARAMS, paths.EXPERIMENTS, paths.metrics(model), paths.history(model)):
        write(tmp_path / path, (ROOT / path).read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    row = run_table.Row(
        "model-3",
        model,
        project_files.params().models[model],
        "5f3a",
        run_table.format_metrics(json.loads(paths.metrics(model).read_text("utf-8"))),
        tuple(
            epoch.test_accuracy
            for epoch in history.from_csv(paths.history(model).read_text("utf-8"))
        ),
    )
    write(paths.RUNS, run_table.to_csv([row]))
    assert not any("model-3-seed-1" in line for line in contradictions(monkeypatch))
    path = paths.metrics(model)
    write(path, json.dumps(json.loads(path.read_text("utf-8")) | {"accuracy": 1.0}))
    (line,) = (line for line in contradictions(monkeypatch) if "model-3-seed-1" in line)
    assert {str(paths.RUNS), "1.00"} <= {word.rstrip(":;,") for word in line.split()}
    shutil.rmtree(tmp_path / "metrics")
    assert contradictions(monkeypatch) == []
