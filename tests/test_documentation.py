"""README.md and docs/: what they link to, the commands they name and the output they show."""

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import models
from stages import paths
from study.evaluation.metrics import last_epochs_std
from study.recipes import params_file
from study.training import history
from tests.checkout import ROOT, place

DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
TEXT = {path.name: path.read_text("utf-8") for path in DOCUMENTS}


def overrides(text: str) -> list[tuple[str, str]]:
    """Return the keys and values after `-S`; several values of one key are separated by commas."""
    found = re.findall(r"-S '?(\+?[\w.]+)=([\w.,-]*\w)", text)
    return [(key, value) for key, values in found for value in values.split(",")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\((?!http|#)([^)#]+)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "engine.md", "performance.md", "scaling.md"])
def test_measured_numbers_are_filled_in(name: str) -> None:
    """`make check` compares what is between the markers; without them, nothing."""
    assert re.search(r"(?m)^<!-- \[\[\[cog (?s:.*?)\]\]\] -->$(?s:.*?)^<!-- \[\[\[end", TEXT[name])


def test_readme_tree_lists_existing_paths() -> None:
    lines = re.findall(r"^((?:[\w.]+/ )+|[\w.]+\.yaml ) +", TEXT["README.md"], re.MULTILINE)
    tree = " ".join(lines).split()
    assert len(tree) > 8
    assert [path for path in tree if not (ROOT / path).exists()] == []


def test_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert TEXT["README.md"].startswith(f"# {citation['title']}\n")


def test_make_targets_exist() -> None:
    named = {
        name for text in TEXT.values() for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", text)
    }
    assert {"repro", "test"} <= named
    command = ["make", "--no-print-directory", "help"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert named <= {line.split()[0] for line in listed.stdout.splitlines()}


def test_overrides_are_accepted() -> None:
    named = [each for text in TEXT.values() for each in overrides(text)]
    assert named
    for key, value in named:
        params = yaml.safe_load((ROOT / paths.PARAMS).read_text("utf-8"))
        mapping, last = place(params, key.removeprefix("+"))
        assert (last in mapping) is not key.startswith("+"), key
        mapping[last] = value
        params_file.read(yaml.safe_dump(params), models.names())


@pytest.mark.parametrize("document", ["README.md", "experiments.md"])
def test_metrics_diff_shown_follows_from_committed_metrics(document: str) -> None:
    (shown,) = re.findall(
        r"\$ dvc exp run -S (\S+)=(\S+)\n\$ dvc metrics diff\n(.+?)(?:\$|```)",
        TEXT[document],
        re.DOTALL,
    )
    key, value, table = shown
    before, after = candidates(value) if key == "candidate" else epochs(key.split(".")[1], value)
    rows = (line.split() for line in table.splitlines()[1:] if line)
    printed = {metric: tuple(map(float, values)) for _, metric, *values in rows}
    assert printed == {
        metric: pytest.approx(
            (before[metric], after[metric], after[metric] - before[metric]), abs=5e-5
        )
        for metric in before
        if before[metric] != after[metric]
    }


Metrics = Mapping[str, float]


def candidates(model: str) -> tuple[Metrics, Metrics]:
    """Return the committed candidate's metrics and those of another model."""
    before, after = (
        json.loads((ROOT / path).read_text("utf-8"))
        for path in (paths.CANDIDATE, paths.metrics(model))
    )
    return before, after


def epochs(model: str, number: str) -> tuple[Metrics, Metrics]:
    """Return a model's metrics, and those after some epochs; its history has both."""
    rows = history.from_csv((ROOT / paths.history(model)).read_text("utf-8"))
    before, after = (
        {
            "accuracy": part[-1].test_accuracy,
            "loss": part[-1].test_loss,
            "best_accuracy": max(epoch.test_accuracy for epoch in part),
            "train_accuracy": part[-1].train_accuracy,
            "last_epochs_std": last_epochs_std([epoch.test_accuracy for epoch in part]),
        }
        for part in (rows, rows[: int(number)])
    )
    return before, after
