import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from stages import claims as claims_stage
from stages import paths
from stages import report as stage
from study.data import mnist
from study.evaluation import metrics
from study.evidence import aggregates, run_table, write_up
from study.networks import model_summary, receptive_field
from study.reporting import document
from study.reporting.document import Metrics
from study.training import history
from study.training.history import Epoch

REFERENCE = Path(__file__).parents[1] / "reference"
PUBLISHED = write_up.read(REFERENCE / "write_up.yaml", REFERENCE / "epochs.csv")
IMAGE = (1, 28, 28)

METRICS = {
    "model_1": Metrics(98.95, 0.0293, 98.97, 98.8, 0.03, 14620),
    "model_3": Metrics(98.41, 0.0512, 98.65, 97.9, 0.05, 3928),
    "model_6": Metrics(99.41, 0.02, 99.41, 99.1, 0.01, 7999),
}


def training(epochs: int) -> list[Epoch]:
    return [Epoch(epoch, 0.1, 97.0, 0.1, 0.03, 98.9) for epoch in range(epochs)]


SEEDS = [
    aggregates.ConfigurationStats(
        configuration="model-1",
        model="model_1",
        default=True,
        parameters=14620,
        n=5,
        accuracy=99.042,
        low=98.9,
        high=99.1,
        sd=0.05,
        loss=0.03,
        best_accuracy=99.07,
        gain=0.03,
        gain_low=None,
        gain_high=None,
        last_epochs_std=0.1,
        published=98.98,
    )
]
HISTORIES = {"model_1": training(15), "model_3": training(15), "model_6": training(1)}


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_results_table() -> None:
    header, _, *results = rows(document.results_table(METRICS, HISTORIES, SEEDS, PUBLISHED))
    assert len({len(row) for row in (header, *results)}) == 1
    assert [" ".join(row) for row in results] == [
        "Model 1 14,620 15 98.95 98.98 −0.03 99.04 (n = 5) 98.97 98.98 0.0293 0.0293 +0.0000",
        # The documents give a best epoch only, so the best epochs are compared.
        "Model 3 3,928 15 98.41 98.51 † +0.14 † – 98.65 98.51 0.0512 – –",
        "Model 6 7,999 1 99.41 – – – 99.41 – 0.0200 – –",
    ]


def test_notes_of_the_results_table() -> None:
    notes = document.results_table(METRICS, HISTORIES, SEEDS, PUBLISHED).partition("\n\n")[2]
    assert "10,000 test images" in notes
    assert "0.08 to 0.13 points" in notes
    assert notes.count("†") == 1
    one = document.results_table({"model_1": METRICS["model_1"]}, HISTORIES, SEEDS, PUBLISHED)
    assert "is 0.10 points" in one
    assert "†" not in one


def test_standard_error_is_that_of_a_proportion() -> None:
    right = np.random.Generator(np.random.SFC64(1)).binomial(10_000, 0.99, size=20_000)
    assert document.standard_error(99.0, 10_000) == pytest.approx(right.std() / 100, rel=0.02)


def test_target() -> None:
    assert document.target(METRICS, PUBLISHED).endswith("in the one run above: Model 6.")
    almost = {"model_6": replace(METRICS["model_6"], parameters=8000)}
    assert document.target(almost, PUBLISHED).endswith("in the one run above: none.")


def test_receptive_fields_show_both_where_the_documents_differ() -> None:
    computed = receptive_field.table(models.build("model_1", 0.1), IMAGE)
    theirs = PUBLISHED.models["model_1"].receptive_field
    assert theirs is not None
    section = document.receptive_field_table(computed, theirs)
    cells = {row[0]: row[1:] for row in rows(section)}
    assert cells["Conv3 (3x3)"] == ["7x7", "24", "22", "1", "1", "2", "3"]
    assert cells["MaxPool"] == ["**8x8** ~~14x14~~", "22", "11", "1", "2", "3", "**3.5** ~~6~~"]
    assert cells["Conv8 (7x7)"][0] == "28x28"
    differing = receptive_field.differing(computed, theirs)
    assert section.count("~~") / 2 == sum(map(len, differing))


def test_receptive_fields_of_more_layers_than_the_documents_list() -> None:
    computed = receptive_field.table(models.build("model_1", 0.1), IMAGE)
    section = document.receptive_field_table(computed, computed[:-1])
    assert rows(section)[-1][:2] == ["**Conv8 (7x7)** ~~–~~", "**28x28** ~~–~~"]
    assert document.receptive_field_table(computed, computed).startswith("As in the documents.")


def test_models_with_one_receptive_field_table_share_it() -> None:
    names = ["model_1", "model_2", "model_3", "model_4", "model_5"]
    computed = {name: receptive_field.table(models.build(name, 0.1), IMAGE) for name in names}
    text = document.receptive_field_tables(computed, PUBLISHED.models)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["### Model 1, Model 2", "### Model 3, Model 4", "### Model 5"]


def test_summaries_are_held_against_the_documents() -> None:
    tables = {
        "model_1": model_summary.table(models.build("model_1", 0.1), IMAGE),
        "model_6": "its table",
    }
    text = document.summary_tables(tables, PUBLISHED.models)
    assert "### Model 1\n\nAs in the documents, line for line." in text
    assert "### Model 6\n\nThe documents give no such table.\n\n```\nits table\n```" in text
    changed = {"model_1": tables["model_1"].replace("14,620", "14,621")}
    assert "Not as in the documents" in document.summary_tables(changed, PUBLISHED.models)


def test_missed_by_all() -> None:
    labels = np.array([7, 2, 1, 0])
    answers = {"model_1": np.array([7, 3, 4, 5]), "model_2": np.array([1, 3, 1, 6])}
    right = {name: answer == labels for name, answer in answers.items()}
    assert document.missed_by_all(right) == [1, 3]


def test_models_against_each_other_where_the_documents_compare_them() -> None:
    metrics = {
        "model_1": Metrics(97.0, 0.04, 97.0, 97.0, 0.0, 14620),
        "model_2": Metrics(98.0, 0.03, 98.0, 98.0, 0.0, 14796),
        "model_4": Metrics(98.0, 0.0305, 98.0, 98.0, 0.0, 7416),
        "model_6": METRICS["model_6"],
    }
    # 200 images: Model 2 is right about two more than Model 1, Model 4 about two others.
    images = np.arange(200)
    right = {
        "model_1": images < 194,
        "model_2": images < 196,
        "model_4": (images < 194) | (images >= 198),
        "model_6": images < 200,
    }
    section = document.comparisons(metrics, right, PUBLISHED)
    header, _, *results = rows(section)
    assert len({len(row) for row in (header, *results)}) == 1
    # p of 2 against 0 is that of two throws alike, 1/2; of 2 against 2, and twice 1/2, 1.
    assert [" ".join(row) for row in results] == [
        "Model 1 → 2 97.00 (93.61 to 98.62) 98.00 (94.97 to 99.22) 0 / 2 +1.00 (−1.20 to +3.67)"
        " 0.500 1.000 −0.0100 +176",
        "Model 2 → 4 98.00 (94.97 to 99.22) 98.00 (94.97 to 99.22) 2 / 2 +0.00 (−2.83 to +2.83)"
        " 1.000 1.000 +0.0005 −7,380",
    ]
    assert "“Model 4 is better in terms of parameters and not accuracy.”" in section
    assert "Model 5 has more" not in section
    alone = document.comparisons({"model_1": metrics["model_1"]}, right, PUBLISHED)
    assert alone == "The documents compare none of these models with one another."


def test_a_probability_has_as_many_decimals_as_matter() -> None:
    assert [document.probability(p) for p in (1, 0.0066, 0.001)] == ["1.000", "0.007", "0.001"]
    assert document.probability(0.000999) == "< 0.001"


def test_stage(tmp_path: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From files as the other stages write them to the report and its figures."""
    names = ["model_1", "model_3"]
    monkeypatch.chdir(tmp_path)
    for path in (paths.WRITE_UP, paths.EPOCHS):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((REFERENCE / path.name).read_bytes())
    for path in (paths.CLAIMS, paths.EXPERIMENTS):
        path.write_bytes((REFERENCE.parent / path.name).read_bytes())
    paths.RUNS.parent.mkdir()
    paths.RUNS.write_text(run_table.to_csv([]), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["claims", "0.1"])
    claims_stage.main()
    monkeypatch.setattr(sys, "argv", ["report", "0.1", *names])
    paths.MNIST.parent.mkdir()
    paths.MNIST.symlink_to(mnist_folder)
    _, labels = mnist.read_evaluation_set(mnist_folder)
    predictions = labels.clone()
    predictions[[18, 62]] = (labels[[18, 62]] + 1) % 10
    for name in names:
        network = models.build(name, 0.1)
        fields = receptive_field.table(network, IMAGE)
        written = {
            paths.metrics(name): json.dumps(vars(METRICS[name])),
            paths.history(name): history.to_csv(HISTORIES[name]),
            paths.summary(name): model_summary.table(network, IMAGE),
            paths.receptive_field(name): receptive_field.to_csv(fields),
            paths.predictions(name): metrics.predictions_csv(labels, predictions),
            paths.confusion(name): metrics.confusion_csv(labels, predictions),
        }
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    stage.main()

    text = paths.REPORT.read_text(encoding="utf-8")
    assert "| Model 3 | 3,928 | 15 | 98.41 |" in text
    assert "## Model against model, one run each\n\nThe documents compare none of these" in text
    assert "2 of the 10,000 test images." in text
    assert text.count("no runs; inconclusive") == text.count(": no runs") > 20
    assert "No runs yet: `make experiments` makes them." in text
    assert {f"figures/{path.name}" for path in paths.FIGURES.iterdir()} == set(
        re.findall(r"!\[.*?\]\((.*?)\)", text)
    )
    assert "no. 62" in (paths.FIGURES / "misses.svg").read_text(encoding="utf-8")
    assert "2 errors" in (paths.FIGURES / "confusion.svg").read_text(encoding="utf-8")

    assert "held out" not in text
    for name in names:
        validation_images = vars(METRICS[name]) | {"validation_images": 10_000}
        paths.metrics(name).write_text(json.dumps(validation_images), encoding="utf-8")
    stage.main()
    held_out_text = paths.REPORT.read_text("utf-8")
    assert "last 10,000 training images, which were held out" in held_out_text
    assert "Accuracy and loss on 10,000 held-out images" in held_out_text
    assert "Accuracy and loss on 10,000 test images" in text

    paths.predictions("model_3").unlink()
    with pytest.raises(FileNotFoundError) as missing:
        stage.main()
    assert str(missing.value.filename) == "predictions/model_3.csv"


def test_fewer_held_out_images_make_an_accuracy_less_sure() -> None:
    """Of 400 images, one has a standard error of √(99 · 1 / 400)."""
    metrics = replace(METRICS["model_1"], accuracy=99.0, validation_images=400)
    text = document.notes({"model_1": metrics}, PUBLISHED)
    assert text.startswith("Accuracy and loss on 400 held-out images after the last epoch, ")
    assert "(binomial) is 0.50 points" in text
