"""The report's figures, as SVG text: the same values give the same bytes on every machine.

Backgrounds are transparent, and every color is legible on white and on black, because a reader's
page may be either. Models are mappings by name, in the order in which they are drawn.
"""

import io
import math
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

from study.evaluation.metrics import METRICS
from study.evidence.aggregates import ConfigurationStats, EpochBand
from study.evidence.verdicts import CheckResult, Claim, Verdict
from study.evidence.write_up import Target
from study.reporting.formats import number, title
from study.reporting.tables import difference_text

# A notebook passes its own backend to the processes that it starts, and a user's matplotlibrc may
# be broken. Either can fail the import of matplotlib, although neither has an effect: figures are
# drawn without a backend, in a style of their own.
os.environ["MPLBACKEND"] = "svg"
os.environ["MATPLOTLIBRC"] = os.devnull

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import blended_transform_factory

P = ParamSpec("P")

# Contrast of at least 3 to 1 on white and on #0d1117, GitHub's dark page; of text, 4 to 1.
GRAY = "#747C85"
BLUE = "#3B82C4"
ORANGE = "#D1662B"
GREEN = "#2E9E5B"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # it comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), GRAY
    ),
    "grid.color": GRAY,
    # Letters drawn as paths need no font on the reader's machine; ids come from the salt.
    "svg.fonttype": "path",
    "svg.hashsalt": "mnist-study",
}
WIDTH = 8.0
"""Width of every figure, in inches: 768 pixels on a page, about the width of a README."""
LINE = 0.17
"""Height of a line of text, in inches."""
DIAMOND: dict[str, Any] = {
    "color": ORANGE,
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "none",
    "linestyle": "",
}
"""The write-up's accuracy among ours."""
DOT: dict[str, Any] = {
    "color": GRAY,
    "marker": "o",
    "markersize": 3,
    "markeredgewidth": 0,
    "alpha": 0.75,
    "linestyle": "",
}
"""One of our runs."""
MEAN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 5}
"""The mean of our runs."""
VERDICTS: dict[Verdict, dict[str, Any]] = {
    "supported": {"color": BLUE, "marker": "o"},
    "contradicted": {"color": ORANGE, "marker": "X"},
    "inconclusive": {"color": GRAY, "marker": "o", "markerfacecolor": "none"},
}
"""The mark of each verdict, which can be told without its color, too."""
PREDICTED = {"higher": "> 0", "lower": "< 0", "not_higher": "< {margin:g}", "equivalent": "≈ 0"}
"""What a relation predicts about the difference."""

MAX_DIGITS = 48
"""Maximum number of digits in one figure."""
LEVELS = range(40, 256, 50)
"""Gray levels of a digit's picture."""


def drawing(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Return `draw` as a function that returns its figure as SVG text, in this module's style."""

    @wraps(draw)
    def svg(*args: P.args, **kwargs: P.kwargs) -> str:
        text = io.StringIO()
        with matplotlib.style.context(["default", STYLE], after_reset=True):
            # By default, matplotlib adds its version and the date.
            nothing = {"Creator": None, "Date": None}
            draw(*args, **kwargs).savefig(text, format="svg", metadata=nothing)
        return text.getvalue()

    return svg


def limits(values: Iterable[float], step: float) -> tuple[float, float]:
    """Return the multiples of `step` around these values, and a little room."""
    shown = [*values] or [0.0]
    low, high = math.floor(min(shown) / step - 0.25), math.floor(max(shown) / step + 0.25) + 1
    return round(low * step, 6), round(high * step, 6)


@drawing
def models(configurations: Sequence[ConfigurationStats], target: Target) -> Figure:
    """Draw the accuracy of each default configuration, those with few parameters first.

    A row has each run as a dot, the mean with its 95% CI, the write-up's run, and mean ± SD as
    text. The target is the area beyond its accuracy, next to models that are small enough.
    """
    rows = sorted((each for each in configurations if each.default), key=lambda c: c.parameters)
    known = [value for each in rows for value in (*each.accuracies, each.published)]
    low, high = limits((value for value in (*known, target.accuracy) if value is not None), 0.1)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.4 * max(len(rows), 2)))
    panel = figure.add_subplot(xlim=(low, high), ylim=(max(len(rows), 1) - 0.4, -0.6))
    small = sum(each.parameters < target.parameters for each in rows)
    corner = (target.accuracy, -0.6)
    panel.add_patch(Rectangle(corner, high - target.accuracy, small, facecolor=GREEN, alpha=0.18))
    above: dict[str, Any] = {"va": "bottom", "fontsize": 8}
    aim = f"target: > {target.accuracy}% with < {target.parameters:,} parameters"
    panel.text(high, -0.66, aim, color=GREEN, ha="right", **above)
    beside = panel.get_yaxis_transform()
    panel.text(1.02, -0.66, "mean ± SD", transform=beside, **above)
    for row, each in enumerate(rows):
        panel.plot(each.accuracies, stacked(each.accuracies, row + 0.12), **DOT)
        if each.low is not None and each.high is not None:
            panel.plot([each.low, each.high], [row - 0.14] * 2, color=BLUE, linewidth=2)
        panel.plot(each.accuracy, row - 0.14, **MEAN)
        if each.published is not None:
            panel.plot(each.published, row - 0.14, **DIAMOND)
        text = f"{number(each.accuracy)} ± {number(each.sd)}"
        panel.text(1.02, row, text, transform=beside, va="center", fontsize=8)
    panel.set_yticks(
        range(len(rows)), [f"{title(each.model)}  ({each.parameters:,})" for each in rows]
    )
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("test accuracy (%)")
    panel.grid(axis="x")
    best = ", ".join(title(each.model) for each in rows if each.published_best)
    figure.legend(
        [Line2D([], [], **DOT), Line2D([], [], linewidth=2, **MEAN), Line2D([], [], **DIAMOND)],
        [
            "single runs",
            "mean, 95% CI",
            "write-up, one run" + (f" ({best}: best epoch)" if best else ""),
        ],
        loc="outside lower center",
        ncols=3,
    )
    return figure


def stacked(values: Sequence[float], y: float) -> list[float]:
    """Return heights of dots from `y` on, at most half a row, with equal values stacked."""
    step = min(0.09, 0.5 / max(Counter(values).values(), default=1))
    before: Counter[float] = Counter()
    heights = []
    for value in values:
        heights.append(y + step * before[value])
        before[value] += 1
    return heights


@drawing
def seeds(bands: Mapping[str, Sequence[EpochBand]]) -> Figure:
    """Draw the test accuracies of each model's seeds over the epochs, and the write-up's curve."""
    columns = 4
    rows = math.ceil(len(bands) / columns) or 1
    final = [band for curve in bands.values() for band in curve[len(curve) // 2 :]]
    lowest, highest = limits((value for b in final for value in (b.lowest, b.highest)), step=0.2)
    figure = Figure(figsize=(WIDTH, 0.4 + 2.1 * rows))
    grid = figure.add_gridspec(rows, columns)
    dashed: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (3, 1)), "linewidth": 1}
    shaded: dict[str, Any] = {"facecolor": BLUE, "alpha": 0.35, "linewidth": 0}
    for index, (name, curve) in enumerate(bands.items()):
        panel = figure.add_subplot(grid[index], ylim=(lowest, highest))
        panel.set_title(textwrap.fill(title(name), width=22))
        panel.grid(axis="y")
        panel.locator_params(axis="x", integer=True, nbins=5)
        panel.locator_params(axis="y", nbins=5, steps=(1, 2, 5, 10))
        panel.set_xlabel("epoch")
        panel.tick_params(labelleft=index % columns == 0)
        if index % columns == 0:
            panel.set_ylabel("test accuracy (%)")
        epochs = [band.epoch for band in curve]
        low, high = [band.lowest for band in curve], [band.highest for band in curve]
        panel.fill_between(epochs, low, high, **shaded)
        panel.plot(epochs, [band.mean for band in curve], color=BLUE)
        log = [band.published for band in curve if band.published is not None]
        panel.plot(range(len(log)), log, **dashed)
        corner: dict[str, Any] = {"transform": panel.transAxes, "ha": "right", "va": "bottom"}
        panel.text(0.97, 0.03, f"n = {curve[0].n}", fontsize=8, **corner)
    figure.legend(
        [Rectangle((0, 0), 1, 1, **shaded), Line2D([], [], color=BLUE), Line2D([], [], **dashed)],
        ["lowest to highest of n seeds", "mean", "write-up, one run"],
        loc="outside lower center",
        ncols=3,
    )
    return figure


@drawing
def forest(claims: Sequence[Claim], descriptions: Mapping[str, str], margin: float) -> Figure:
    """Draw the differences in accuracy that claims are about, claim by claim.

    The intervals are those of the verdicts. `descriptions`: of configurations, by id. `margin`:
    accuracies within it count as equivalent, in points.
    """
    shown = [(claim, checks) for claim in claims if (checks := accuracy_checks(claim))]
    rows = sum(1.4 + len(checks) for _, checks in shown)
    figure = Figure(figsize=(WIDTH, 1.0 + LINE * max(rows, 3)))
    panel = figure.add_subplot(ylim=(max(rows, 2) - 0.6, -0.9))
    panel.axvspan(-margin, margin, color=GRAY, alpha=0.2, linewidth=0)
    panel.axvline(0, color=GRAY, linewidth=0.8)
    text: dict[str, Any] = {"va": "center", "fontsize": 8}
    bold = text | {"fontweight": "bold"}
    # A heading begins at the figure's left edge, and takes no width from the panel.
    left = blended_transform_factory(figure.transFigure, panel.transData)
    right = panel.get_yaxis_transform()
    labels: list[tuple[float, str]] = []
    y = 0.0
    for claim, checks in shown:
        panel.text(0.005, y, claim.title, transform=left, **bold).set_in_layout(False)
        color = VERDICTS[claim.verdict]["color"]
        panel.text(1.02, y, claim.verdict.upper(), color=color, transform=right, **bold)
        for check in checks:
            y += 1
            labels.append((y, compared(check, descriptions, margin)))
            mark = VERDICTS[check.verdict]
            assert check.interval
            panel.plot(check.interval, [y, y], color=mark["color"], linewidth=1.4, zorder=2)
            panel.plot(check.difference or 0, y, **mark, markersize=5, zorder=3)
            panel.text(1.02, y, difference_text(check, margin), transform=right, **text)
        y += 1.4
    panel.set_yticks([place for place, _ in labels], [label for _, label in labels])
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(f"A − B: difference in accuracy (points); gray: equivalent, ±{margin:g}")
    panel.grid(axis="x")
    figure.legend(
        [Line2D([], [], **mark, markersize=5) for mark in VERDICTS.values()],
        [*VERDICTS],
        loc="outside lower center",
        ncols=3,
    )
    return figure


def accuracy_checks(claim: Claim) -> list[CheckResult]:
    """Return the checks of accuracies that have been measured."""
    return [check for check in claim.checks if check.is_about_accuracy and check.interval]


def compared(check: CheckResult, descriptions: Mapping[str, str], margin: float) -> str:
    """Return what a check predicts about a difference: `Model 2 − Model 1 > 0`."""
    shown = {"accuracy": "", "best_accuracy": "best epoch: "}
    metric = shown.get(check.metric, f"{METRICS[check.metric].name}: ")
    predicted = PREDICTED[check.relation].format(margin=margin)
    return f"{metric}{descriptions[check.of]} − {descriptions[check.than]} {predicted}"


@drawing
def confusion(matrices: Mapping[str, NDArray[np.int64]]) -> Figure:
    """Draw how often each digit is predicted as each other digit.

    `matrices`: counts [actual, predicted], one row and one column per digit.
    """
    columns = 3
    rows = math.ceil(len(matrices) / columns)
    figure = Figure(figsize=(WIDTH, 2.75 * rows))
    grid = figure.add_gridspec(rows, columns)
    errors = {model: matrix - np.diag(np.diag(matrix)) for model, matrix in matrices.items()}
    most = max(1, *(int(matrix.max()) for matrix in errors.values()))
    shades = matplotlib.colormaps["Blues"]
    for index, (model, matrix) in enumerate(errors.items()):
        digits = range(len(matrix))
        panel = figure.add_subplot(
            grid[index],
            title=f"{title(model)}: {matrix.sum():,} errors",
            xlabel="predicted",
            ylabel="actual",
            aspect="equal",
            xlim=(0, len(matrix)),
            ylim=(len(matrix), 0),
        )
        panel.set_xticks([digit + 0.5 for digit in digits], map(str, digits))
        panel.set_yticks([digit + 0.5 for digit in digits], map(str, digits))
        panel.tick_params(length=0)
        panel.spines[:].set(visible=True, alpha=0.5)
        for digit in digits:
            panel.add_patch(Rectangle((digit, digit), 1, 1, facecolor=GRAY, alpha=0.25))
        for actual, predicted in np.argwhere(matrix):
            # From 1 on, a count stands out from none; the root tells small ones apart.
            share = 0.3 + 0.6 * math.sqrt(matrix[actual, predicted] / most)
            panel.add_patch(Rectangle((predicted, actual), 1, 1, facecolor=shades(share)))
            panel.text(
                predicted + 0.5,
                actual + 0.5,
                str(matrix[actual, predicted]),
                color="white" if share > 0.6 else "black",
                fontsize=8,
                ha="center",
                va="center_baseline",
            )
    return figure


@drawing
def misses(
    numbers: Sequence[int],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    predictions: Mapping[str, NDArray[np.int64]],
) -> Figure:
    """Draw the digits `numbers`, which every model misclassifies; the first MAX_DIGITS of them.

    `images` [n, 28, 28] from 0 (background) to 255, `labels` [n] and each model's `predictions` [n]
    are those of the whole evaluation set.
    """
    columns = 8
    shown = numbers[:MAX_DIGITS]
    heading = "No digit is misclassified by every model."
    if shown:
        heading = "Label and image number; below, what the models predicted."
    if len(numbers) > MAX_DIGITS:
        heading += f" The first {MAX_DIGITS} of {len(numbers):,}."
    below = [votes({m: int(each[image]) for m, each in predictions.items()}) for image in shown]
    rows = math.ceil(len(shown) / columns)
    lines = max((text.count("\n") for text in below), default=0)
    figure = Figure(figsize=(WIDTH, 0.35 + (1.4 + 0.14 * lines) * rows))
    figure.suptitle(heading, x=0.01, ha="left", fontsize=9)
    grid = figure.add_gridspec(max(rows, 1), columns)
    for index, (image, text) in enumerate(zip(shown, below, strict=True)):
        panel = figure.add_subplot(
            grid[index], aspect="equal", xlim=(0, 28), ylim=(28, 0), xticks=[], yticks=[]
        )
        panel.set_facecolor("white")  # as on paper, on any page
        panel.set_title(str(labels[image]))
        panel.set_title(f"#{image}", loc="right", fontsize=8, fontweight="normal")
        panel.set_xlabel(text, fontsize=8)
        panel.spines[:].set(visible=True, alpha=0.5)
        for level in LEVELS:
            path = outline(images[image] >= level)
            panel.add_patch(PathPatch(path, color=str(1 - level / 255), linewidth=0))
    return figure


def votes(predictions: Mapping[str, int]) -> str:
    """Return the most frequent prediction with its share; below it, the others and their models."""
    counts = Counter(predictions.values())
    majority, count = counts.most_common(1)[0]
    found = [f"{majority} ({count} of {len(predictions)})"]
    for digit in sorted(counts.keys() - {majority}):
        names = ", ".join(title(model) for model, each in predictions.items() if each == digit)
        found += textwrap.wrap(f"{digit}: {names}", width=16)
    return "\n".join(found)


def outline(mask: NDArray[np.bool_]) -> Path:
    """Return the outline of a mask [height, width], as one rectangle per run in a row.

    A picture embedded as PNG would depend on the machine's compressor.
    """
    edges = np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)
    path = []
    for (row, left), (_, right) in zip(
        np.argwhere(edges == 1), np.argwhere(edges == -1), strict=True
    ):
        path += [(left, row), (right, row), (right, row + 1), (left, row + 1), (left, row)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(path, float).reshape(-1, 2), codes * (len(path) // 5))
