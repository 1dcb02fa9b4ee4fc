"""The report's figures, as SVG text: the same values give the same bytes on every machine.

Backgrounds are transparent, and every color is legible on white and on black, because a reader's
page may be either. Models are mappings by name, in the order in which they are drawn.
"""

import io
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import Any, Literal, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from study.evidence import write_up
from study.evidence.aggregates import ConfigurationStats, EpochBand
from study.evidence.verdicts import ACCURACIES, CheckResult, Claim, Verdict
from study.evidence.write_up import Target
from study.reporting.formats import baseline, estimate, number, title
from study.training import history

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
PUBLISHED: dict[str, Any] = {"color": GRAY, "alpha": 0.5, "linewidth": 3, "solid_capstyle": "butt"}
"""The write-up's curves, behind ours."""
DIAMOND: dict[str, Any] = {
    "color": ORANGE,
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "none",
    "linestyle": "",
}
"""The write-up's accuracy among ours."""
MARKERS = ("o", "s", "D", "^", "v", "X", "P", "<")

VERDICTS: dict[Verdict, str] = {"supported": BLUE, "contradicted": ORANGE, "inconclusive": GRAY}
CLAIMED = {"higher": "> 0", "lower": "< 0", "not_higher": "≤ {margin:g}", "equivalent": "≈ 0"}
"""The claim that a relation makes about the difference."""

MAX_DIGITS = 48
"""Maximum number of digits in one figure."""
MAX_COLUMNS = 5
"""Maximum number of models next to each other."""
LEVELS = range(40, 256, 50)
"""Gray levels of a digit's picture."""

Log = Sequence[history.Epoch] | Sequence[write_up.Epoch]


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


def colors(count: int) -> list[str]:
    """Return `count` different colors, `#rrggbb`: hues evenly spaced, every other one lighter.

    Ottosson 2020, "A perceptual color space for image processing" (Oklab).
    """
    index = np.arange(count)
    lightness = np.where(index % 2, 0.67, 0.56)
    hue = 2 * np.pi * (0.69 + index / max(count, 1))
    lab = np.stack([lightness, 0.13 * np.cos(hue), 0.13 * np.sin(hue)])
    linear = np.clip(LMS_TO_RGB @ (LAB_TO_LMS @ lab) ** 3, 0, 1)
    encoded = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [matplotlib.colors.to_hex(rgb) for rgb in encoded.T]


LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@drawing
def curves(
    measured: Mapping[str, Sequence[history.Epoch]], published: Mapping[str, write_up.Model]
) -> Figure:
    """Draw test accuracy and test loss over the epochs of one run of each model.

    Above, all models; below, each by itself, in front of the write-up's log or, without a log, its
    best accuracy.
    """
    logs: list[Log] = [*measured.values()]
    logs += [published[model].epochs for model in measured if model in published]
    last = max(epoch.epoch for log in logs for epoch in log)
    # The first epochs are far from the differences that matter: each log's second half is shown.
    final = [epoch for log in logs for epoch in log[len(log) // 2 :]]
    lowest, highest = limits((epoch.test_accuracy for epoch in final), step=0.2)
    # After too large a learning rate, a loss is not a number.
    greatest = limits((epoch.test_loss for epoch in final), step=0.02)[1]

    rows = math.ceil(len(measured) / MAX_COLUMNS)
    columns = math.ceil(len(measured) / rows)
    overview = max(2.6, LINE * len(measured))
    figure = Figure(figsize=(WIDTH, overview + 0.7 + 3.4 * rows))
    grid = figure.add_gridspec(
        1 + 2 * rows, columns, height_ratios=(overview + 0.5, *(1.9, 1.5) * rows)
    )
    overlay = figure.add_subplot(grid[0, :], ylim=(lowest, highest))
    above, below = [], []
    for index in range(len(measured)):
        row, column = divmod(index, columns)
        above.append(figure.add_subplot(grid[1 + 2 * row, column], ylim=(lowest, highest)))
        below.append(figure.add_subplot(grid[2 + 2 * row, column], ylim=(0, greatest)))
    for panel in (overlay, *above, *below):
        panel.set_xlim(-0.5, last + 0.5)
        panel.locator_params(axis="x", integer=True)
        panel.locator_params(axis="y", nbins=5, steps=(1, 2, 5, 10))
        panel.grid(axis="y")
    for panel in (overlay, *below):
        panel.set_xlabel("epoch")
    overlay.set_ylabel("test accuracy (%)")
    for index, (accuracy, loss) in enumerate(zip(above, below, strict=True)):
        if index % columns == 0:
            accuracy.set_ylabel("test accuracy (%)")
            loss.set_ylabel("test loss (nats)")
        else:
            accuracy.tick_params(labelleft=False)
            loss.tick_params(labelleft=False)

    looks = dict(
        zip(measured, zip(colors(len(measured)), cycle(MARKERS), strict=False), strict=True)
    )
    for model, accuracy, loss in zip(measured, above, below, strict=True):
        color, marker = looks[model]
        accuracy.set_title(textwrap.fill(title(model), width=16))
        if model in published:
            line(accuracy, published[model].epochs, "test_accuracy", **PUBLISHED)
            line(loss, published[model].epochs, "test_loss", **PUBLISHED)
            if best := published[model].stated_best_accuracy:
                accuracy.axhline(best, **PUBLISHED, zorder=1)
                note(accuracy, f"best {best:.2f}", "top")
        line(accuracy, measured[model], "test_accuracy", color=color, marker=marker, markersize=2)
        line(loss, measured[model], "test_loss", color=color, marker=marker, markersize=2)
        line(overlay, measured[model], "test_accuracy", color=color, marker=marker)
    label_ends(overlay, measured, looks, gap=(highest - lowest) * LINE / overview)
    figure.legend(
        [Line2D([], [], color=BLUE), Line2D([], [], **PUBLISHED)],
        ["one run, as measured", "the write-up’s run"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def limits(values: Iterable[float], step: float) -> tuple[float, float]:
    """Return the multiples of `step` around the finite ones of these values, and a little room."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = math.floor(min(finite) / step - 0.25), math.floor(max(finite) / step + 0.25) + 1
    return round(low * step, 6), round(high * step, 6)


def note(panel: Axes, text: str, va: Literal["top", "bottom"]) -> None:
    """Write a text into the upper or lower right corner of a panel."""
    y = {"top": 0.97, "bottom": 0.03}[va]
    panel.text(0.97, y, text, ha="right", va=va, fontsize=8, transform=panel.transAxes)


def line(panel: Axes, log: Log, quantity: str, **style: Any) -> None:
    """Draw one quantity of a log over its epochs."""
    panel.plot([epoch.epoch for epoch in log], [getattr(epoch, quantity) for epoch in log], **style)


def label_ends(
    panel: Axes, logs: Mapping[str, Log], looks: Mapping[str, tuple[str, str]], gap: float
) -> None:
    """Write each model's name and last accuracy to the right of its curve, the highest first."""
    ends = {model: log[-1] for model, log in logs.items()}
    order = sorted(ends, key=lambda model: -ends[model].test_accuracy)
    x = panel.get_xlim()[1] + 0.5
    places = spread([ends[model].test_accuracy for model in order], gap, panel.get_ylim()[0])
    for model, y in zip(order, places, strict=True):
        (color, marker), end = looks[model], ends[model]
        leader = panel.plot([end.epoch, x], [end.test_accuracy, y], color=color, linestyle=":")
        leader[0].set(marker=marker, markevery=[1], linewidth=0.8, clip_on=False)
        panel.text(x, y, f"   {title(model)}  {end.test_accuracy:.2f}", va="center", color=color)


def spread(values: Sequence[float], gap: float, lowest: float) -> list[float]:
    """Return the positions of labels of these values: from the highest down, at least `gap` apart.

    Values that are not finite are at `lowest`.
    """
    places: list[float] = []
    for value in values:
        place = value if math.isfinite(value) else lowest
        places.append(min(place, places[-1] - gap) if places else place)
    return places


@drawing
def accuracy(configurations: Sequence[ConfigurationStats], target: Target) -> Figure:
    """Draw each configuration's accuracy, those with few parameters first.

    A row has the mean over seeds with its 95% CI, the write-up's accuracy, and mean ± SD as text.
    The target is the area beyond its accuracy, next to configurations that are small enough.
    """
    rows = sorted(configurations, key=lambda each: each.parameters)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.24 * max(len(rows), 2)))
    known = [
        value
        for each in rows
        for value in (each.accuracy, each.low, each.high, each.published)
        if value is not None
    ]
    low, high = limits([*known, target.accuracy], step=0.1)
    panel = figure.add_subplot(xlim=(low - 0.05, high + 0.05), ylim=(max(len(rows), 1) - 0.4, -0.6))
    small = sum(each.parameters < target.parameters for each in rows)
    corner = (target.accuracy, -0.6)
    panel.add_patch(
        Rectangle(corner, high + 0.05 - target.accuracy, small, facecolor=GREEN, alpha=0.18)
    )
    panel.text(
        high + 0.05,
        -0.75,
        f"target: > {target.accuracy}% with < {target.parameters:,} parameters",
        color=GREEN,
        ha="right",
        va="bottom",
        fontsize=8,
    )
    beside = panel.get_yaxis_transform()
    panel.text(1.02, -0.75, "mean ± SD", transform=beside, va="bottom", fontsize=8)
    for row, each in enumerate(rows):
        if each.low is not None and each.high is not None:
            panel.plot([each.low, each.high], [row, row], color=BLUE, linewidth=1.6)
        panel.plot(each.accuracy, row, color=BLUE, marker="o", markersize=5)
        if each.published is not None:
            panel.plot(each.published, row, **DIAMOND)
        text = f"{number(each.accuracy)} ± {number(each.sd)}"
        panel.text(1.02, row, text, transform=beside, va="center", fontsize=8)
    names = [f"{title(each.configuration)}  ({each.parameters:,})" for each in rows]
    panel.set_yticks(range(len(rows)), names)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("test accuracy (%)")
    panel.grid(axis="x")
    figure.legend(
        [Line2D([], [], color=BLUE, marker="o", markersize=5), Line2D([], [], **DIAMOND)],
        ["mean over seeds, 95% CI", "write-up, one run"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


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
        note(panel, f"n = {curve[0].n}", "bottom")
    figure.legend(
        [Rectangle((0, 0), 1, 1, **shaded), Line2D([], [], color=BLUE), Line2D([], [], **dashed)],
        ["lowest to highest of n seeds", "mean", "write-up, one run"],
        loc="outside lower center",
        ncols=3,
    )
    return figure


@drawing
def forest(claims: Sequence[Claim], margin: float) -> Figure:
    """Draw the differences in accuracy that claims are about, with 95% CIs, claim by claim.

    `margin`: accuracies within it count as equivalent, in points.
    """
    shown = [(claim, accuracy_checks(claim)) for claim in claims if accuracy_checks(claim)]
    rows = sum(1.3 + len(checks) for _, checks in shown)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.18 * max(rows, 3)))
    panel = figure.add_subplot(ylim=(max(rows, 2) - 0.5, -0.8))
    panel.axvspan(-margin, margin, color=GRAY, alpha=0.2, linewidth=0)
    panel.axvline(0, color=GRAY, linewidth=0.8)
    column: dict[str, Any] = {"transform": panel.get_yaxis_transform(), "va": "center"}
    names: dict[float, str] = {}
    y = 0.0
    for claim, checks in shown:
        color = VERDICTS[claim.verdict]
        names[y] = title(claim.id)
        panel.text(1.02, y, claim.verdict, color=color, fontweight="bold", fontsize=8, **column)
        for check in checks:
            y += 1
            names[y] = compared(check, margin)
            color = VERDICTS[check.verdict]
            if check.interval:
                panel.plot(check.interval, [y, y], color=color, linewidth=1.4)
            panel.plot(check.difference or 0, y, marker="o", color=color)
            found = estimate(check.difference, check.interval, 3, sign=True)
            panel.text(1.02, y, found, color=color, fontsize=8, **column)
        y += 1.3
    panel.set_yticks([*names], [*names.values()])
    for claim_or_check, label in zip(names.values(), panel.get_yticklabels(), strict=True):
        if claim_or_check in {title(claim.id) for claim, _ in shown}:
            label.set_fontweight("bold")
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(f"difference in accuracy (points), 95% CI; gray: equivalent, ±{margin:g}")
    panel.grid(axis="x")
    figure.legend(
        [Line2D([], [], color=color, marker="o") for color in VERDICTS.values()],
        [f"{verdict} before correction" for verdict in VERDICTS],
        loc="outside lower center",
        ncols=3,
    )
    return figure


def accuracy_checks(claim: Claim) -> list[CheckResult]:
    """Return the checks of a claim that are about an accuracy and have runs."""
    return [
        check
        for check in claim.checks
        if check.metric in ACCURACIES and check.difference is not None
    ]


def compared(check: CheckResult, margin: float) -> str:
    """Return a check's claim about a difference: `Model 2 − Model 1 > 0`."""
    best = " (best epoch)" if check.metric == "best_accuracy" else ""
    claimed = CLAIMED[check.relation].format(margin=margin)
    return f"{title(check.of)} − {baseline(check.than)}{best} {claimed}"


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
            path = runs(images[image] >= level)
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


def runs(mask: NDArray[np.bool_]) -> Path:
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
