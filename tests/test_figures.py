import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from dvc_render.vega import VegaRenderer  # type: ignore[import-untyped]
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.evidence import aggregates, write_up
from study.reporting import figures
from study.training.history import Epoch

ROOT = Path(__file__).parents[1]
PUBLISHED = write_up.read(ROOT / "reference" / "write_up.yaml", ROOT / "reference" / "epochs.csv")
PUBLISHED, TARGET = PUBLISHED.models, PUBLISHED.target


def history(accuracies: Sequence[float], loss: float = 0.05) -> list[Epoch]:
    """A training with these test accuracies."""
    return [Epoch(i, 0.1, 97.0, 0.1, loss, accuracy) for i, accuracy in enumerate(accuracies)]


HISTORIES = {
    "model_1": history([95.5, 97.5, 98.3, 98.6, 98.95]),
    "model_3": history([90.0, 97.0, 98.0, 98.2, 98.65]),
    "model_5": history([92.0, 97.9, 98.4, 98.9, 99.24]),
    "model_6": history([91.0, 97.8, 98.3, 98.8, 99.31]),  # not in the documents
}


def matrix(errors: Mapping[tuple[int, int], int]) -> NDArray[np.int64]:
    """A confusion matrix: 990 right answers for each digit, and these errors."""
    counts = np.diag(np.full(10, 990))
    for cell, count in errors.items():
        counts[cell] = count
    return counts


MATRICES = {"model_1": matrix({(4, 9): 17, (9, 4): 3}), "model_2": matrix({})}
IMAGES = np.random.Generator(np.random.SFC64(1)).integers(0, 256, (60, 28, 28), np.uint8)
LABELS = np.arange(60) % 10
ANSWERS = {"model_1": (LABELS + 1) % 10, "model_2": (LABELS + 2) % 10}


def drawn() -> str:
    """All figures, one after the other."""
    return (
        figures.curves(HISTORIES, PUBLISHED)
        + figures.confusion(MATRICES)
        + figures.misses([3, 14], IMAGES, LABELS, ANSWERS)
    )


def texts(svg: str) -> list[str]:
    """What stands in a figure: matplotlib notes each text beside its outline."""
    return re.findall(r"<!-- (.*?) -->", svg)


def test_same_bytes_for_another_user(tmp_path: Path) -> None:
    settings = {"font.size": 22, "font.family": "serif", "axes.grid": True, "svg.fonttype": "none"}
    lines = [f"{key}: {value}\n" for key, value in settings.items()]
    (tmp_path / "matplotlibrc").write_text("".join(lines), encoding="utf-8")
    theirs = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "tests.test_figures"]
    output = subprocess.run(
        command, cwd=ROOT, env=os.environ | theirs, check=True, capture_output=True
    )
    assert output.stdout.decode() == drawn()


def test_nothing_of_the_day_or_the_version() -> None:
    svg = drawn()
    assert matplotlib.__version__ not in svg
    assert "date" not in svg


def test_settings_of_the_process_neither_show_nor_change() -> None:
    plain = drawn()
    with matplotlib.rc_context({"font.size": 22}):
        assert drawn() == plain
        assert matplotlib.rcParams["font.size"] == 22


def test_every_letter_is_drawn_in_the_font_that_comes_with_matplotlib() -> None:
    found = matplotlib.font_manager.findfont(figures.STYLE["font.family"])
    assert Path(found).is_relative_to(matplotlib.get_data_path())


def test_curves_name_each_model_with_its_last_accuracy() -> None:
    written = texts(figures.curves(HISTORIES, PUBLISHED))
    ends = ["Model 6  99.31", "Model 5  99.24", "Model 1  98.95", "Model 3  98.65"]
    assert [text.strip() for text in written if "  " in text] == ends
    assert [text for text in written if text.startswith("best")] == ["best 98.51"]


def test_curves_have_the_documents_behind_them() -> None:
    def behind(model: str) -> int:
        svg = figures.curves({model: HISTORIES["model_1"]}, PUBLISHED)
        return svg.count(f"stroke: {figures.BEHIND['color'].lower()}")

    # In the legend; and two logs, the best accuracy, nothing.
    assert [behind(model) - 1 for model in ("model_1", "model_3", "model_6")] == [2, 1, 0]


def test_curves_zoom_in_on_where_they_settle() -> None:
    # Ticks between the worst and the best accuracy of the curves' second halves.
    assert {"98.5", "99.0"} < set(texts(figures.curves(HISTORIES, PUBLISHED)))
    few_samples = {"model_1": history([11.35])}
    assert {"20", "60"} < set(texts(figures.curves(few_samples, PUBLISHED)))


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 0.0])
def test_curves_of_a_training_that_failed(loss: float) -> None:
    written = texts(figures.curves({"model_6": history([9.8, 9.8], loss)}, {}))
    assert "Model 6  9.80" in [text.strip() for text in written]


def test_confusion_labels_errors_alone() -> None:
    written = texts(figures.confusion(MATRICES))
    assert written.index("Model 1") < written.index("20 errors") < written.index("Model 2")
    assert "0 errors" in written
    assert written.count("17") == 1
    assert "990" not in written


def test_misses() -> None:
    written = texts(figures.misses([3, 14], IMAGES, LABELS, ANSWERS))
    assert "no. 3" in written
    assert "no. 14" in written
    assert [text for text in written if re.fullmatch(r"\d \d", text)] == ["4 5", "5 6"]
    assert written.index("4 5") < written.index("5 6")
    assert any(text.endswith("the answers of Model 1, Model 2.") for text in written)


def test_no_misses() -> None:
    assert texts(figures.misses([], IMAGES, LABELS, ANSWERS)) == [
        "No test digit is wrong in every model."
    ]


def test_too_many_misses() -> None:
    written = texts(figures.misses(range(60), IMAGES, LABELS, ANSWERS))
    assert sum(text.startswith("no. ") for text in written) == 48
    assert any(text.endswith("The first 48 of 60.") for text in written)


def test_runs_cover_the_mask() -> None:
    mask = IMAGES[0] > 127
    rows, columns = np.mgrid[0:28, 0:28]
    centres = np.column_stack([columns.ravel(), rows.ravel()]) + 0.5
    assert np.array_equal(figures.runs(mask).contains_points(centres), mask.ravel())


@pytest.mark.parametrize(
    ("template", "x", "y", "row"),
    [
        ("curves", "epoch", "test_loss", {"epoch": "0", "test_loss": "0.0331"}),
        (
            "confusion_counts",
            "predicted",
            "actual",
            {"actual": "4", "predicted": "9", "count": "2"},
        ),
    ],
)
def test_dvc_fills_the_template(template: str, x: str, y: str, row: dict[str, str]) -> None:
    files = [{"filename": f"{model}.csv", "field": y} for model in ("model_1", "model_2")]
    rows = [row | file | {"rev": "workspace"} for file in files]
    renderer = VegaRenderer(
        rows,
        "plot",
        template=template,
        template_dir=ROOT / ".dvc" / "plots",
        x=x,
        y=y,
        anchors_y_definitions=files,
        revs_with_datapoints=["workspace"],
    )
    filled = json.dumps(renderer.get_filled_template())
    assert "<DVC" not in filled
    assert filled.count("model_1.csv") == 1


if __name__ == "__main__":
    sys.stdout.write(drawn())


# Over seeds

CONFIGURATIONS = [
    aggregates.ConfigurationStats(
        name, "model_4", True, parameters, 5, mean, mean - 0.05, mean + 0.05, 0.04, 0.03, mean, 0, 0, 0, 0.05, theirs
    )
    for name, parameters, mean, theirs in [
        ("model-3", 3928, 98.8, 98.51),
        ("model-4", 7416, 99.09, 99.02),
        ("model-4-dropout-15", 7416, 98.95, None),
        ("model-5", 8018, 99.32, 99.29),
        ("model-2", 14796, 99.33, 99.29),
    ]
]


def test_accuracy_against_parameters_names_and_numbers_every_configuration() -> None:
    svg = figures.parameters(CONFIGURATIONS, TARGET)
    for number, each in enumerate(CONFIGURATIONS, start=1):
        assert f"<!-- {number}  {figures.title(each.configuration)} -->" in svg
        # Once beside its point, and the number of a configuration may be a tick's, too.
        assert f"<!-- {number} -->" in svg
    assert "<!-- Around 8,000 parameters -->" in svg


def test_the_target_is_shaded_where_it_is() -> None:
    """The shaded area ends at the target in both panels: a configuration just beyond is outside."""
    panel = Figure().add_subplot(xlim=(6000, 10_000))
    assert figures.share(panel, TARGET) == 0.5


def test_a_single_run_has_a_point_and_no_interval() -> None:
    single = [replace(each, n=1, low=None, high=None) for each in CONFIGURATIONS]
    assert figures.parameters(single, TARGET) != figures.parameters(CONFIGURATIONS, TARGET)


def test_bands_name_each_model_and_how_many_seeds() -> None:
    bands = {
        name: [aggregates.EpochBand(name, epoch, 5, 98.9, 99.0, 99.1, 99.05) for epoch in range(15)]
        for name in ("model-1", "model-4-deeper")
    }
    svg = figures.seeds(bands)
    for words in ("Model 1", "Model 4 deeper", "lowest to highest of 5 seeds"):
        assert f"<!-- {words} -->" in svg


def test_differences_say_what_is_compared_and_the_verdict() -> None:
    rows = [
        aggregates.Difference(
            "a", "accuracy", "model-2", "higher", "model-1", 5, 0.3, 0.2, 0.4, "supported"
        ),
        aggregates.Difference(
            "b", "best_accuracy", "model-3", "not_higher", "write_up", 1, 0.3, None, None, "told"
        ),
        aggregates.Difference(
            "b", "accuracy", "model-4-rotated", "equivalent", "target", 5, 0, 0, 0, "open"
        ),
    ]
    svg = figures.forest(rows, 0.1)
    for words in (
        "Model 2 higher than Model 1",
        "Model 3, best epoch not higher than the write-up’s number",
        "Model 4 rotated equivalent to the target",
        "supported",
        "told",
        "open",
    ):
        assert f"<!-- {words} -->" in svg


def test_no_runs_at_all() -> None:
    assert "<!-- target -->" in figures.parameters([], TARGET)
    assert figures.seeds({}).startswith("<?xml")
    assert figures.forest([], 0.1).startswith("<?xml")
