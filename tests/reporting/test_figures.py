import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from dvc_render.vega import VegaRenderer  # type: ignore[import-untyped]
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.evidence.aggregates import EpochBand
from study.evidence.verdicts import Claim
from study.reporting import figures
from tests.checkout import ROOT
from tests.evidence.hand_made import PUBLISHED
from tests.reporting.report_inputs import NAMES, VERDICTS, check, claim, stats

TARGET = PUBLISHED.target


def matrix(errors: Mapping[tuple[int, int], int]) -> NDArray[np.int64]:
    """A confusion matrix: 990 right predictions of each digit, and these errors."""
    counts = np.diag(np.full(10, 990))
    for cell, count in errors.items():
        counts[cell] = count
    return counts


MATRICES = {"model_1": matrix({(4, 9): 17, (9, 4): 3}), "model_2": matrix({})}
IMAGES = np.random.Generator(np.random.SFC64(1)).integers(0, 256, (60, 28, 28), np.uint8)
LABELS = np.arange(60) % 10
PREDICTIONS = {"model_1": (LABELS + 1) % 10, "model_2": (LABELS + 2) % 10}
CONFIGURATIONS = [
    stats("model-2", 99.33, 14796, published=99.29),
    replace(stats("model-3", 98.8, 3928, published=98.51), published_best=True),
    stats("resnet-tiny", 99.32, 8018),
    replace(stats("variant"), default=False),
]
BANDS = {
    name: [EpochBand(name, epoch, n, 98.9, 99.0, 99.1, 99.05) for epoch in range(15)]
    for name, n in (("model-1", 5), ("model-4-deeper", 10))
}


def drawn() -> str:
    """All figures, one after the other."""
    return "".join(
        (
            figures.confusion(MATRICES),
            figures.forest(VERDICTS.claims, NAMES, 0.1),
            figures.misses([3, 14], IMAGES, LABELS, PREDICTIONS),
            figures.models(CONFIGURATIONS, TARGET),
            figures.seeds(BANDS),
        )
    )


@pytest.fixture(scope="module")
def plain() -> str:
    """All figures, as this process draws them."""
    return drawn()


def plotted(draw: Callable[..., str], *arguments: object) -> Figure:
    """The figure itself, before it becomes SVG."""
    figure: Figure = inspect.unwrap(draw)(*arguments)
    return figure


def texts(figure: Figure) -> list[str]:
    """Every text in a figure, without ticks."""
    found = [each.get_text() for panel in figure.axes for each in (*panel.texts, panel.title)]
    return found + [each.get_text() for legend in figure.legends for each in legend.get_texts()]


def rows(panel: Axes) -> dict[str, float]:
    """The names of a panel's rows with their heights."""
    return {
        label.get_text(): float(place)
        for label, place in zip(panel.get_yticklabels(), panel.get_yticks(), strict=True)
    }


def marks(panel: Axes, y: float, kind: str = "o") -> list[float]:
    """Where the marks of a kind in or around a row are, from left to right."""
    return sorted(
        float(x)
        for line in panel.lines
        if line.get_marker() == kind
        for x, height in np.asarray(line.get_xydata())
        if abs(height - y) < 0.5
    )


@pytest.mark.fault(
    "matplotlib's settings: the backend of a notebook, a broken matplotlibrc, no folder for caches",
    "figures are drawn, with the same bytes",
)
def test_bytes_are_the_same_wherever_they_are_drawn(tmp_path: Path, plain: str) -> None:
    """Not even with the backend of a notebook, a broken matplotlibrc and no folder for caches."""
    settings = tmp_path / "matplotlibrc"
    settings.write_bytes(b"font.size: 22\nsvg.fonttype: none\nfont.family: \xff\n")
    surroundings = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(settings),
        "MPLCONFIGDIR": str(settings / "below a file"),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
    }
    # As in the stage, nothing loads matplotlib before the study does.
    program = "import sys, study.reporting.figures; from tests.reporting.test_figures import drawn"
    command = [sys.executable, "-c", f"{program}; sys.stdout.write(drawn())"]
    output = subprocess.run(
        command, cwd=ROOT, env=os.environ | surroundings, check=True, capture_output=True
    )
    assert output.stdout.decode() == plain


def test_settings_of_the_process_neither_show_nor_change(plain: str) -> None:
    assert matplotlib.__version__ not in plain
    assert "date" not in plain
    with matplotlib.rc_context({"font.size": 22}):
        assert drawn() == plain
        assert matplotlib.rcParams["font.size"] == 22


def test_letters_are_of_the_font_that_comes_with_matplotlib() -> None:
    found = matplotlib.font_manager.findfont(figures.STYLE["font.family"])
    assert Path(found).is_relative_to(matplotlib.get_data_path())


def test_page_shows_through() -> None:
    # White is only behind the digits.
    forest = figures.forest(VERDICTS.claims, NAMES, 0.1)
    without_digits = figures.models(CONFIGURATIONS, TARGET) + forest
    assert "#ffffff" not in without_digits
    assert "#000000" not in without_digits


def contrast(color: str, background: str) -> float:
    """The contrast of two colors, WCAG 2.1: from 1 to 21."""

    def luminance(name: str) -> float:
        linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name))
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(color), luminance(background)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_colors_are_legible_on_light_and_dark_pages(page: str) -> None:
    assert contrast(figures.GRAY, page) >= 4
    for color in (figures.BLUE, figures.ORANGE, figures.GREEN):
        assert contrast(color, page) >= 2.5


def test_models_have_each_run_the_mean_and_the_write_up() -> None:
    runs = (99.2, 99.3, 99.3, 99.5)
    configurations = [replace(CONFIGURATIONS[0], accuracies=runs), *CONFIGURATIONS[1:]]
    figure = plotted(figures.models, configurations, TARGET)
    (panel,) = figure.axes
    places = rows(panel)
    assert [*places] == ["Model 3  (3,928)", "Resnet tiny  (8,018)", "Model 2  (14,796)"]
    last = places["Model 2  (14,796)"]
    assert marks(panel, last) == [99.2, 99.3, 99.3, 99.33, 99.5]
    assert [marks(panel, y, "D") for y in places.values()] == [[98.51], [], [99.29]]
    assert "99.33 ± 0.05" in texts(figure)
    assert "write-up, one run (Model 3: best epoch)" in texts(figure)


def test_equal_runs_are_drawn_on_top_of_each_other() -> None:
    heights = figures.stacked([99.3, 99.2, 99.3, 99.3], 1.0)
    assert heights[0] == heights[1] == 1
    assert len({heights[0], heights[2], heights[3]}) == 3
    # However many: the next row begins after half a row.
    assert max(figures.stacked([99.3] * 30, 1.0)) < 1.5


def test_models_shade_the_target_next_to_small_ones() -> None:
    (panel,) = plotted(figures.models, CONFIGURATIONS, TARGET).axes
    (area,) = panel.patches
    box = area.get_extents().transformed(panel.transData.inverted())
    assert box.x0 == pytest.approx(TARGET.accuracy)
    # The first row alone is small enough.
    assert sorted((box.y0, box.y1)) == pytest.approx([-0.6, 0.4])


def test_model_with_a_single_run_has_no_interval() -> None:
    lines = [
        len(plotted(figures.models, [stats("model-1", n=n)], TARGET).axes[0].lines) for n in (5, 1)
    ]
    assert lines == [3, 2]


def test_seeds_have_a_panel_for_each_model_with_its_number_of_seeds() -> None:
    figure = plotted(figures.seeds, BANDS)
    shown = [
        (panel.get_title(loc="left"), [text.get_text() for text in panel.texts])
        for panel in figure.axes
    ]
    assert [count for _, count in shown] == [["n = 5"], ["n = 10"]]
    assert "<!-- Model 4 deeper -->" in figures.seeds(BANDS)


CLAIMS = [
    claim("a", "inconclusive", check(verdict="inconclusive"), check("higher", metric="loss")),
    claim("not-run", "missing runs", check(ran=False)),
    claim(
        "b",
        "contradicted",
        check("equivalent", "target", verdict="contradicted"),
        check("not_higher", "model-4-a", metric="best_accuracy"),
    ),
]


def test_forest_groups_the_accuracies_by_claim() -> None:
    figure = plotted(figures.forest, CLAIMS, NAMES, 0.1)
    (panel,) = figure.axes
    places = rows(panel)
    assert [*places] == [
        "Model 2 − Model 1 > 0",
        "Model 2 − target ≈ 0",
        "best epoch: Model 2 − Model 4 | a < 0.1",
    ]
    assert texts(figure).count("+0.220 (+0.030 to +0.410)") == 3
    heights = {text.get_text(): text.get_position()[1] for text in panel.texts}
    assert heights["Title of a"] == heights["INCONCLUSIVE"]
    assert heights["INCONCLUSIVE"] < heights["Title of b"] == heights["CONTRADICTED"]


def test_forest_headings_take_no_width_from_the_panel() -> None:
    def width(claims: Sequence[Claim]) -> float:
        with matplotlib.style.context(figures.STYLE):
            figure = plotted(figures.forest, claims, NAMES, 0.1)
            figure.draw_without_rendering()
        return figure.axes[0].get_position().width

    assert width([replace(each, title=60 * "wide") for each in CLAIMS]) == width(CLAIMS)


def test_forest_marks_by_verdict_with_and_without_color() -> None:
    (panel,) = plotted(figures.forest, CLAIMS, NAMES, 0.1).axes
    found = [
        (line.get_color(), line.get_marker(), line.get_markerfacecolor() == "none")
        for line in panel.lines
        if line.get_marker() != "None"
    ]
    assert found == [
        (figures.GRAY, "o", True),
        (figures.ORANGE, "X", False),
        (figures.BLUE, "o", False),
    ]


@pytest.mark.parametrize("claims", [[], CLAIMS[1:2]])
def test_figures_without_runs_are_drawn(claims: list[Claim]) -> None:
    forest = figures.forest(claims, NAMES, 0.1)
    for svg in (figures.models([], TARGET), figures.seeds({}), forest):
        assert svg.startswith("<?xml")


def test_confusion_shows_errors_alone() -> None:
    figure = plotted(figures.confusion, MATRICES)
    counts = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert counts == [["17", "3"], []]
    svg = figures.confusion(MATRICES)
    assert svg.index("Model 1: 20 errors") < svg.index("Model 2: 0 errors")


def test_misses_have_label_number_and_predictions() -> None:
    figure = plotted(figures.misses, [3, 14], IMAGES, LABELS, PREDICTIONS)
    third, fourth = figure.axes
    assert (third.get_title(loc="right"), fourth.get_title(loc="right")) == ("#3", "#14")
    assert third.get_xlabel() == "4 (1 of 2)\n5: Model 2"
    assert fourth.get_xlabel() == "5 (1 of 2)\n6: Model 2"


def test_misses_name_only_models_that_dissent() -> None:
    predictions = {"model_1": 3, "model_2": 3, "model_3": 3, "model_4_deeper": 6, "model_5": 6}
    assert figures.votes(predictions).splitlines() == [
        "3 (3 of 5)",
        "6: Model 4",
        "deeper, Model 5",
    ]


def test_misses_are_cut_off_after_the_first_ones() -> None:
    figure = plotted(figures.misses, range(60), np.zeros_like(IMAGES), LABELS, PREDICTIONS)
    assert len(figure.axes) == figures.MAX_DIGITS
    assert "60" in figure.get_suptitle()
    assert plotted(figures.misses, [], IMAGES, LABELS, PREDICTIONS).axes == []


def test_outline_covers_the_mask() -> None:
    mask = IMAGES[0] > 127
    ys, xs = np.mgrid[0:28, 0:28]
    centers = np.column_stack([xs.ravel(), ys.ravel()]) + 0.5
    assert np.array_equal(figures.outline(mask).contains_points(centers), mask.ravel())


@pytest.mark.parametrize(
    ("template", "x", "y", "row"),
    [
        ("curves", "epoch", "test_loss", {"model": "a", "epoch": "0", "test_loss": "0.0331"}),
        (
            "confusion_counts",
            "predicted",
            "actual",
            {"actual": "4", "predicted": "9", "count": "2"},
        ),
    ],
)
def test_dvc_fills_the_template(template: str, x: str, y: str, row: dict[str, str]) -> None:
    files = [{"filename": "some.csv", "field": y}]
    renderer = VegaRenderer(
        [row | files[0] | {"rev": "workspace"}],
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
    assert not re.search(r'"[^"]*" ?: ?"<', filled)
    for key, value in row.items():
        assert f'"{key}": "{value}"' in filled
