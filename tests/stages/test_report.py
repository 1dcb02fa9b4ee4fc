import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stages import claims as claims_stage
from stages import paths
from stages import report as stage
from study.base.files import write
from study.data import mnist
from study.evaluation import metrics
from study.evidence import run_table
from study.networks import receptive_field
from study.training import history
from tests.checkout import ROOT
from tests.evidence.hand_made import rows
from tests.reporting.report_inputs import METRICS, study_of

MISSED = [18, 62]


@pytest.fixture
def study(tmp_path: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of three models, without runs with several seeds, in the working directory."""
    models = study_of(METRICS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.names", lambda: [*METRICS])
    monkeypatch.setattr(sys, "argv", ["a stage"])
    for path in (paths.CLAIMS, paths.EXPERIMENTS, paths.WRITE_UP, paths.EPOCHS):
        write(path, (ROOT / path).read_text("utf-8"))
    train = (ROOT / paths.PARAMS).read_text("utf-8").partition("\nmodels:")[0]
    listed = "".join(f"  {name}: {{}}\n" for name in ["resnet_tiny", "model_1", "model_3"])
    write(paths.PARAMS, f"{train}\nmodels:\n{listed}equivalence_margin: 0.1\ncandidate: model_1\n")
    write(paths.RUNS, run_table.to_csv([]))
    paths.MNIST.parent.mkdir()
    paths.MNIST.symlink_to(mnist_folder)
    claims_stage.main()

    _, labels = mnist.read_evaluation_set(paths.MNIST)
    predictions = labels.copy()
    predictions[MISSED] = (labels[MISSED] + 1) % 10
    for name in METRICS:
        write(paths.metrics(name), json.dumps(asdict(METRICS[name])))
        write(paths.history(name), history.to_csv(models.histories[name]))
        write(paths.summary(name), models.summaries[name])
        write(paths.receptive_field(name), receptive_field.to_csv(models.receptive_fields[name]))
        write_evaluation(name, labels, predictions)
    return tmp_path


def write_evaluation(name: str, labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> None:
    """Write what the stage evaluate writes of the predictions of a model."""
    write(paths.predictions(name), metrics.predictions_to_csv(labels, predictions))
    write(paths.confusion(name), metrics.confusion_to_csv(labels, predictions))


def test_report_is_on_the_models_of_params_in_their_order(study: Path) -> None:
    stage.main()
    text = paths.REPORT.read_text("utf-8")
    names = ["Resnet tiny", "Model 1", "Model 3"]
    places = [text.index(f"| {name} |") for name in names]
    assert places == sorted(places)
    for figure in re.findall(r"\]\((figures/.*?)\)", text):
        assert (paths.REPORT.parent / figure).exists()
    svg = (paths.FIGURES / "confusion.svg").read_text("utf-8")
    assert all(f"<!-- {name}" in svg for name in names)
    assert "<!-- #62 -->" in (paths.FIGURES / "misses.svg").read_text("utf-8")


def test_report_writes_the_curves_of_all_models(study: Path) -> None:
    stage.main()
    header, *rows = (paths.FIGURE_DATA / "curves.csv").read_text("utf-8").splitlines()
    assert header.split(",") == ["model", "epoch", "test_accuracy", "test_loss", "train_loss"]
    assert [row.split(",")[:2] for row in rows] == [
        [model, epoch] for model in ("resnet_tiny", "model_1", "model_3") for epoch in "01"
    ]


def test_report_keeps_runs_on_validation_images_apart(study: Path) -> None:
    held_out = {"validation_images": 10_000}
    runs = rows("model-6", [99.6, 99.7]) + rows("model-6-val", [99.4, 99.5], values=held_out)
    write(paths.RUNS, run_table.to_csv(runs))
    stage.main()
    _, *lines = (paths.FIGURE_DATA / "accuracy.csv").read_text("utf-8").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["model-6"]
    assert "| 99.450 ± 0.071 |" in paths.REPORT.read_text("utf-8")


def test_report_removes_what_it_did_not_write(study: Path) -> None:
    stage.main()
    before = {path: path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()}
    for stale in ("figures/parameters.svg", "figures/.hidden", "old/deeper/table.csv", "notes.md"):
        write(Path("reports", stale), "stale")
    stage.main()
    after = {path: path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()}
    assert after == before
    assert sorted(path.name for path in Path("reports").iterdir()) == [
        "data",
        "figures",
        "report.md",
    ]


def test_report_of_validation_images_says_so(study: Path) -> None:
    for name, each in METRICS.items():
        write(paths.metrics(name), json.dumps(asdict(each) | {"validation_images": 400}))
        _, labels = mnist.read_evaluation_set(paths.MNIST, 400)
        write_evaluation(name, labels, labels)
    stage.main()
    assert "400 validation images" in paths.REPORT.read_text("utf-8")


def test_report_without_some_metrics_is_written(study: Path) -> None:
    write(paths.metrics("model_1"), '{"accuracy": 9.8}')
    write(paths.metrics("model_3"), "{}")
    stage.main()
    text = paths.REPORT.read_text("utf-8")
    assert "| Model 1 | 9.80 |" in text
    assert "| Model 3 | – |" in text


def test_report_leaves_everything_as_it_was_if_an_input_is_missing(study: Path) -> None:
    write(paths.REPORT, "before")
    paths.predictions("model_3").unlink()
    with pytest.raises(FileNotFoundError) as missing:
        stage.main()
    assert str(missing.value.filename) == "predictions/model_3.csv"
    assert [*paths.REPORT.parent.rglob("*")] == [paths.REPORT]
    assert paths.REPORT.read_text("utf-8") == "before"
