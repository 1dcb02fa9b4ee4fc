"""README.md against what is there: its numbers, its paths, its commands, their output."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from stages import paths
from study.evaluation.steadiness import last_epochs_std
from study.training import history
from tests.checkout import ROOT, Checkout

README = (ROOT / "README.md").read_text("utf-8")


def transcripts() -> list[tuple[str, list[str]]]:
    """The commands shown after a `$`, each with the lines of output shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ ").partition("  #")[0].rstrip(), []))
            else:
                found[-1][1].append(line.rstrip())
    return found


def table(lines: list[str]) -> dict[str, tuple[str, ...]]:
    """What `dvc metrics diff` printed: by file and metric, before, after and change."""
    rows = (line.split() for line in lines[1:] if line)
    return {f"{path} {metric}": tuple(values) for path, metric, *values in rows}


@pytest.mark.parametrize("block", ["findings", "results"])
def test_generated_block_is_the_report_s(block: str) -> None:
    report = (ROOT / paths.REPORT).read_text("utf-8")
    begin, end = f"<!-- begin: {block} -->\n", f"<!-- end: {block} -->"
    assert README.partition(begin)[2].partition(end)[0] == (
        report.partition(begin)[2].partition(end)[0]
    )


def test_the_documents_comparisons_are_those_of_the_metrics() -> None:
    rows = re.findall(r"^\| `\S+ \S+` \| (\d) → (\d) \| (.*) \|$", README, re.MULTILINE)
    assert [(first, second) for first, second, _ in rows] == [
        ("1", "2"),
        ("2", "4"),
        ("4", "5"),
        ("1", "5"),
    ]
    for first, second, cells in rows:
        before, after = (
            json.loads((ROOT / paths.metrics(f"model_{number}")).read_text("utf-8"))
            for number in (first, second)
        )
        numbers = [float(number) for cell in cells.split(" | ") for number in cell.split(" → ")]
        expected = [
            number
            for key in ("accuracy", "loss", "parameters")
            for number in (before[key], after[key], after[key] - before[key])
        ]
        assert numbers == pytest.approx(expected, abs=5e-5)


def test_what_it_points_to_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    tree = re.findall(r"^([\w./]+/|[\w.]+\.yaml)  ", README, re.MULTILINE)
    assert len(links) > 4
    assert len(tree) > 8
    for path in [*links, *tree]:
        assert (ROOT / path).exists(), path


def test_each_make_target_it_names_exists() -> None:
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert {"repro", "test"} <= named
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert named <= {line.split()[0] for line in listed.splitlines()}


def test_the_experiment_shown_is_the_history_s_row() -> None:
    """A shorter training is the beginning of a longer one: its figures stand in the history."""
    shown = transcripts()
    index = next(i for i, (command, _) in enumerate(shown) if "model_5.epochs" in command)
    epochs = int(shown[index][0].rpartition("=")[2])
    assert shown[index + 1][0] == "dvc metrics diff"
    rows = history.from_csv((ROOT / paths.history("model_5")).read_text("utf-8"))
    before, after = (
        {
            "accuracy": part[-1].test_accuracy,
            "loss": part[-1].test_loss,
            "best_accuracy": max(epoch.test_accuracy for epoch in part),
            "train_accuracy": part[-1].train_accuracy,
            "last_epochs_std": last_epochs_std([epoch.test_accuracy for epoch in part]),
        }
        for part in (rows, rows[:epochs])
    )
    difference = table(shown[index + 1][1])
    assert difference.keys() == {
        f"metrics/model_5.json {key}" for key in before if before[key] != after[key]
    }
    for key, values in difference.items():
        metric = key.split()[1]
        expected = before[metric], after[metric], after[metric] - before[metric]
        assert tuple(map(float, values)) == pytest.approx(expected, abs=5e-5)


def test_the_candidate_s_difference_is_what_dvc_prints(tmp_path: Path, mnist_folder: Path) -> None:
    shown = transcripts()
    index = next(i for i, (command, _) in enumerate(shown) if "candidate=" in command)
    checkout = Checkout.create(tmp_path, mnist_folder)
    # What is committed is enough: this needs none of the training that a new checkout has not done.
    checkout.run("dvc", "repro", "--quiet", "validate")
    *command, value = shown[index][0].split()
    checkout.run(*command, value, "--single-item", "candidate")
    assert shown[index + 1][0] == "dvc metrics diff"
    printed = checkout.run("dvc", "metrics", "diff").splitlines()
    assert table(shown[index + 1][1]) == table(printed)
