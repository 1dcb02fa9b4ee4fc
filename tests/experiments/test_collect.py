"""From DVC's experiments in Git to the run table."""

from pathlib import Path

import pytest

import models
from experiments import git
from experiments.collect import Collector
from stages import paths, project_files
from tests.experiments.examples import DEFAULT, LONG, RUNS, SHORT, commit, finish

pytestmark = pytest.mark.usefixtures("repository")


def update(*names: str) -> list[str]:
    """Collect these runs; return those without a row."""
    runs = {name: RUNS[name] for name in names}
    return Collector(runs, git.call("rev-parse", "HEAD").strip()).update()


@pytest.mark.parametrize("folder", [".", "studies/mnist"])
def test_collector_adds_finished_runs(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the study is in a subdirectory of its repository."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    finish(SHORT, accuracy=98.1, loss=0.0512)
    assert update(SHORT, DEFAULT) == [DEFAULT]
    (row,) = project_files.rows()
    assert (row.model, row.recipe) == ("model_5", RUNS[SHORT].recipe)
    assert row.revision == git.call("rev-parse", "HEAD").strip()
    assert (row.metrics["accuracy"], row.metrics["loss"]) == ("98.10", "0.0512")
    assert (row.metrics["last_epochs_std"], row.metrics["parameters"]) == ("1.500", "2")
    assert row.test_accuracies == (98.1, 98.1, 98.1)


def test_collector_keeps_rows_without_an_experiment() -> None:
    """As in a clone, whose DVC has no experiments."""
    git.call("update-ref", "-d", finish(SHORT))
    assert update(SHORT) == [SHORT]
    ref = finish(SHORT)
    update(SHORT)
    git.call("update-ref", "-d", ref)
    assert update(SHORT) == []


def test_rows_of_closed_trials_are_not_obsolete() -> None:
    finish(SHORT)
    update(SHORT)
    (row,) = project_files.rows()
    assert Collector({}, "", closed=[row.configuration]).obsolete() == []
    assert Collector({}, "").obsolete() == [SHORT]


def test_obsolete_rows_are_removed_once() -> None:
    """What the user adds to the table while runs are executed stays."""
    finish(SHORT)
    finish(DEFAULT)
    update(SHORT, DEFAULT)
    revision = git.call("rev-parse", "HEAD").strip()
    assert Collector(RUNS, revision).obsolete() == []
    only = Collector({SHORT: RUNS[SHORT]}, revision)
    assert only.obsolete() == [DEFAULT]
    only.update()
    assert {row.name for row in project_files.rows()} == {SHORT, DEFAULT}
    only.remove_obsolete()
    assert [row.name for row in project_files.rows()] == [SHORT]


def test_collector_reads_the_models_of_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may add one while runs are executed."""
    collector = Collector(RUNS, git.call("rev-parse", "HEAD").strip(), [SHORT])
    finish(SHORT)
    monkeypatch.setattr(models, "names", lambda: ["model_7", *RUNS])
    assert collector.update() == []


def test_collector_ignores_other_commits_other_recipes_and_incomplete_metrics() -> None:
    finish(SHORT)
    commit("Another commit")
    finish(DEFAULT, momentum=0.7)
    finish(LONG, loss=None)
    assert update(SHORT, DEFAULT, LONG) == [SHORT, DEFAULT, LONG]
    assert not paths.RUNS.exists()
