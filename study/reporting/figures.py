"""The report's figures, as SVG text: the same values give the same bytes, whoever draws them.

Models come as mappings by name, in the order in which they are drawn.
"""

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from study.evidence import write_up
from study.evidence.aggregates import ConfigurationStats, Difference, EpochBand
from study.evidence.write_up import Target
from study.training import history

P = ParamSpec("P")

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # it comes with matplotlib
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.constrained_layout.use": True,
    # Letters drawn as paths need no font on the reader's side; ids come from the salt.
    "svg.fonttype": "path",
    "svg.hashsalt": "mnist-study",
}
WIDTH = 8.0  # inches; 768 pixels on a page, about what a README gives a figure
GREY = "#707070"
BEHIND: dict[str, Any] = {"color": "#CCCCCC", "linewidth": 2.5, "solid_capstyle": "butt"}

# Okabe and Ito 2008, "Color Universal Design": colour-blind readers tell them apart. The markers do
# the same for whoever prints in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# One more of them, so that 56 models look different.
MARKERS = ("o", "s", "D", "^", "v", "X", "P", "<")

MOST = 48  # digits in one figure
MOST_COLUMNS = 5  # models beside each other
LEVELS = range(40, 256, 50)  # of grey, in a digit's picture

Log = Sequence[history.Epoch] | Sequence[write_up.Epoch]


def title(model: str) -> str:
    """Return a model's or an experiment's name as text has it: `Model 1` for `model_1`."""
    return model.replace("_", " ").replace("-", " ").capitalize()


def related(relation: str, than: str) -> str:
    """Return what something is said to be: `higher than Model 1`, `equivalent to the target`."""
    other = {"write_up": "the write-up’s number", "target": "the target"}
    word = "to" if relation == "equivalent" else "than"
    return f"{relation.replace('_', ' ')} {word} {other.get(than, title(than))}"


def drawing(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Return the figure that `draw` draws as SVG text, in this module's style and no other."""

    @wraps(draw)
    def svg(*args: P.args, **kwargs: P.kwargs) -> str:
        text = io.StringIO()
        with matplotlib.style.context(["default", STYLE], after_reset=True):
            # Left to itself, matplotlib adds its version and the date.
            nothing = {"Creator": None, "Date": None}
            draw(*args, **kwargs).savefig(text, format="svg", metadata=nothing)
        return text.getvalue()

    return svg


@drawing
def curves(
    measured: Mapping[str, Sequence[history.Epoch]], published: Mapping[str, write_up.Model]
) -> Figure:
    """Draw test accuracy and test loss over the epochs.

    Above, all models; below, each by itself, with the documents' log behind it or, where they have
    none, their best accuracy.
    """
    logs: list[Log] = [*measured.values()]
    logs += [published[model].epochs for model in measured if model in published]
    last = max(epoch.epoch for log in logs for epoch in log)
    # The first epochs are far from the differences that matter: each log's second half is shown.
    settled = [epoch for log in logs for epoch in log[len(log) // 2 :]]
    accuracies = [epoch.test_accuracy for epoch in settled]
    lowest, highest = math.floor(2 * min(accuracies)) / 2, math.floor(2 * max(accuracies) + 1) / 2
    # After too large a learning rate, a loss is not a number.
    losses = [epoch.test_loss for epoch in settled if math.isfinite(epoch.test_loss)]
    greatest = math.floor(50 * max(losses, default=0) + 1) / 50
    looks = dict(zip(measured, zip(cycle(COLOURS), cycle(MARKERS), strict=False), strict=False))

    rows = math.ceil(len(measured) / MOST_COLUMNS)
    columns = math.ceil(len(measured) / rows)
    figure = Figure(figsize=(WIDTH, 2.8 + 3.2 * rows))
    grid = figure.add_gridspec(1 + 2 * rows, columns, height_ratios=(8, *(5, 4) * rows))
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

    for model, accuracy, loss in zip(measured, above, below, strict=True):
        colour, marker = looks[model]
        accuracy.set_title(textwrap.fill(title(model), width=14))
        if model in published:
            line(accuracy, published[model].epochs, "test_accuracy", **BEHIND)
            line(loss, published[model].epochs, "test_loss", **BEHIND)
            if best := published[model].stated_best_accuracy:
                accuracy.axhline(best, **BEHIND, zorder=1)
                corner = accuracy.transAxes
                accuracy.text(
                    1, 1, f"best {best:.2f}", color=GREY, ha="right", va="top", transform=corner
                )
        line(accuracy, measured[model], "test_accuracy", color=colour, marker=marker, markersize=2)
        line(loss, measured[model], "test_loss", color=colour, marker=marker, markersize=2)
        line(overlay, measured[model], "test_accuracy", color=colour, marker=marker)
    label_ends(overlay, measured, looks)
    figure.legend(
        [Line2D([], [], color="black"), Line2D([], [], **BEHIND)],
        ["measured", "documents"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    return figure


def line(panel: Axes, log: Log, quantity: str, **style: Any) -> None:
    """Draw one quantity of a log over its epochs."""
    panel.plot([epoch.epoch for epoch in log], [getattr(epoch, quantity) for epoch in log], **style)


def label_ends(panel: Axes, logs: Mapping[str, Log], looks: Mapping[str, tuple[str, str]]) -> None:
    """Write each model's name and last accuracy to the right of its curve, the highest first."""
    low, high = panel.get_ylim()
    x, y = panel.get_xlim()[1] + 0.5, math.inf
    for model, log in sorted(logs.items(), key=lambda item: -item[1][-1].test_accuracy):
        colour, marker = looks[model]
        end = log[-1]
        # As high as the curve's end, or just below the label before; a dotted line leads there.
        y = min(end.test_accuracy, y - 0.07 * (high - low))
        leader = panel.plot([end.epoch, x], [end.test_accuracy, y], color=colour, linestyle=":")
        leader[0].set(marker=marker, markevery=[1], linewidth=0.8, clip_on=False)
        panel.text(x, y, f"   {title(model)}  {end.test_accuracy:.2f}", va="center")


@drawing
def parameters(configurations: Sequence[ConfigurationStats], target: Target) -> Figure:
    """Draw accuracy against parameters: every configuration, the documents' numbers, their target.

    To the left all of them, to the right those around the target: numbered, and those with the same
    number of parameters side by side.
    """
    figure = Figure(figsize=(WIDTH, 4.6))
    grid = figure.add_gridspec(1, 2, width_ratios=(3, 5))
    counts = [each.parameters for each in configurations]
    near = [each for each in configurations if abs(each.parameters / target.parameters - 1) < 0.1]
    known = [
        value
        for each in configurations
        for value in (each.accuracy, each.low, each.high, each.published)
        if value is not None and math.isfinite(value)
    ]
    limits = (min([*known, target.accuracy]) - 0.1, max([*known, target.accuracy]) + 0.15)
    whole = figure.add_subplot(grid[0], ylim=limits)
    close = figure.add_subplot(grid[1], ylim=limits)
    whole.set_xlim(min([*counts, target.parameters]) - 900, max([*counts, target.parameters]) + 900)
    close.set_xlim(0.895 * target.parameters, 1.105 * target.parameters)
    numbers = {each.configuration: number for number, each in enumerate(configurations, start=1)}
    for panel in (whole, close):
        panel.axhspan(
            target.accuracy,
            limits[1],
            xmax=share(panel, target),
            facecolor="#E4F0E4",
            edgecolor=GREY,
            linestyle=":",
            linewidth=0.8,
        )
        panel.set_xlabel("parameters")
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.locator_params(axis="x", nbins=5)
        panel.grid(axis="y")
    whole.set_ylabel("test accuracy (%)")
    whole.set_title("All")
    close.set_xlabel("parameters (equal numbers side by side)")
    close.set_title(f"Around {target.parameters:,} parameters")
    close.tick_params(labelleft=False)
    whole.text(0.02, 0.99, "target", color=GREY, va="top", transform=whole.transAxes)
    for each in configurations:
        point(whole, each, each.parameters)
        if each not in near:
            number_of(whole, each, each.parameters, numbers[each.configuration], "left")
    width = 0.0065 * target.parameters
    for count in sorted({each.parameters for each in near}):
        group = [each for each in near if each.parameters == count]
        # Those that miss the target stay to the right of its edge, as they are.
        left = count if count >= target.parameters else count - width * (len(group) - 1) / 2
        for index, each in enumerate(group):
            point(close, each, left + index * width)
            number_of(close, each, left + index * width, numbers[each.configuration], "center")
    handles = [
        Line2D([], [], color="black", marker="o", markersize=3.5),
        Line2D([], [], color=GREY, marker="_", markersize=9, markeredgewidth=2, linestyle=""),
    ]
    names = ["mean of the seeds, 95 % interval", "documents, one run"]
    handles += [Line2D([], [], linestyle="")] * len(numbers)
    names += [f"{number}  {title(name)}" for name, number in numbers.items()]
    figure.legend(
        handles, names, loc="outside lower center", ncols=3, frameon=False, handlelength=1.2
    )
    return figure


def share(panel: Axes, target: Target) -> float:
    """Return how far across a panel the target's number of parameters lies, from 0 to 1."""
    low, high = panel.get_xlim()
    return (target.parameters - low) / (high - low)


def point(panel: Axes, each: ConfigurationStats, x: float) -> None:
    """Draw a configuration's mean and interval, and what the documents say."""
    if each.published is not None:
        panel.plot(x, each.published, color=GREY, marker="_", markersize=9, markeredgewidth=2)
    if each.low is not None and each.high is not None:
        panel.plot([x, x], [each.low, each.high], color="black", linewidth=1)
    panel.plot(x, each.accuracy, color="black", marker="o")


def number_of(panel: Axes, each: ConfigurationStats, x: float, number: int, align: str) -> None:
    """Write a configuration's number below its interval: above it is the target's edge."""
    bottom = min(value for value in (each.accuracy, each.low, each.published) if value is not None)
    panel.annotate(
        str(number),
        (x, bottom),
        xytext=(0, -3),
        textcoords="offset points",
        ha=align,
        va="top",
        fontsize=7,
    )


@drawing
def seeds(bands: Mapping[str, Sequence[EpochBand]]) -> Figure:
    """Draw the seeds' test accuracies of each model over the epochs, and the documents' curve."""
    columns = 4
    rows = math.ceil(len(bands) / columns) or 1
    settled = [band for curve in bands.values() for band in curve[len(curve) // 2 :]]
    lowest = math.floor(5 * min((band.lowest for band in settled), default=98)) / 5
    highest = math.ceil(10 * max((band.highest for band in settled), default=100)) / 10
    last = max((band.epoch for band in settled), default=1)
    figure = Figure(figsize=(WIDTH, 2.1 * rows))
    grid = figure.add_gridspec(rows, columns)
    for index, (name, curve) in enumerate(bands.items()):
        panel = figure.add_subplot(grid[index], ylim=(lowest, highest), xlim=(-0.5, last + 0.5))
        panel.set_title(title(name))
        panel.grid(axis="y")
        panel.locator_params(axis="x", integer=True, nbins=5)
        panel.locator_params(axis="y", nbins=5, steps=(1, 2, 5, 10))
        panel.set_xlabel("epoch")
        panel.tick_params(labelleft=index % columns == 0)
        if index % columns == 0:
            panel.set_ylabel("test accuracy (%)")
        epochs = [band.epoch for band in curve]
        panel.fill_between(
            epochs,
            [band.lowest for band in curve],
            [band.highest for band in curve],
            color="#BFD9EA",
            linewidth=0,
        )
        panel.plot(epochs, [band.mean for band in curve], color=COLOURS[0])
        log = [band.published for band in curve if band.published is not None]
        panel.plot(
            range(len(log)),
            log,
            color="black",
            linestyle=(0, (2, 1)),
            linewidth=1,
        )
    counts = sorted({band.n for curve in bands.values() for band in curve})
    figure.legend(
        [
            Rectangle((0, 0), 1, 1, color="#BFD9EA"),
            Line2D([], [], color=COLOURS[0]),
            Line2D([], [], color="black", linestyle=(0, (2, 1)), linewidth=1),
        ],
        [
            f"lowest to highest of {' or '.join(map(str, counts))} seeds",
            "mean",
            "documents, one run",
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    return figure


@drawing
def forest(differences: Sequence[Difference], margin: float) -> Figure:
    """Draw the differences in accuracy that conclusions are about, with 95 % intervals."""
    figure = Figure(figsize=(WIDTH, 0.95 + 0.2 * len(differences)))
    panel = figure.add_subplot(ylim=(max(len(differences), 1) - 0.4, -0.6))
    panel.axvspan(-margin, margin, color="#EFEFEF", linewidth=0)
    panel.axvline(0, color=GREY, linewidth=0.8)
    for row, each in enumerate(differences):
        if row and each.claim != differences[row - 1].claim:
            panel.axhline(row - 0.5, color="#E5E5E5", linewidth=0.6)
        if each.low is not None and each.high is not None:
            panel.plot([each.low, each.high], [row, row], color="black", linewidth=1)
        panel.plot(each.difference, row, marker="o", color="black")
        panel.text(
            1.02, row, each.verdict, transform=panel.get_yaxis_transform(), va="center", fontsize=7
        )
    panel.set_yticks(range(len(differences)), [label(each) for each in differences], fontsize=7)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(
        "difference in points of accuracy, with its 95 % interval;"
        f" within ±{margin:g} (grey) counts as the same\n"
        "to the right, what each shows by itself, not corrected for testing several"
    )
    panel.grid(axis="x")
    return figure


def label(each: Difference) -> str:
    """Return what a difference is between."""
    of = title(each.of) + (", best epoch" if each.metric == "best_accuracy" else "")
    return f"{of} {related(each.relation, each.than)}"


@drawing
def confusion(matrices: Mapping[str, NDArray[np.int64]]) -> Figure:
    """Draw how often each digit was taken for each other one.

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
            title=f"{title(model)}\n{matrix.sum():,} errors",
            xlabel="predicted",
            ylabel="actual",
            aspect="equal",
            xlim=(0, len(matrix)),
            ylim=(len(matrix), 0),
        )
        panel.set_xticks([digit + 0.5 for digit in digits], map(str, digits))
        panel.set_yticks([digit + 0.5 for digit in digits], map(str, digits))
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.set_facecolor("#F7F7F7")
        for digit in digits:
            panel.add_patch(Rectangle((digit, digit), 1, 1, color="#D0D0D0"))
        for actual, predicted in np.argwhere(matrix):
            share = matrix[actual, predicted] / most
            panel.add_patch(Rectangle((predicted, actual), 1, 1, color=shades(0.8 * share)))
            panel.text(
                predicted + 0.5,
                actual + 0.5,
                str(matrix[actual, predicted]),
                color="white" if share > 0.6 else "black",
                fontsize=7,
                ha="center",
                va="center_baseline",
            )
    return figure


@drawing
def misses(
    numbers: Sequence[int],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    answers: Mapping[str, NDArray[np.int64]],
) -> Figure:
    """Draw the test digits `numbers`, which every model got wrong; the first MOST of them.

    `images` [n, 28, 28] from 0 (background) to 255, `labels` [n] and each model's `answers` [n] are
    those of the whole test set.
    """
    columns = 8
    rows = math.ceil(min(len(numbers), MOST) / columns)
    heading = "No test digit is wrong in every model."
    if numbers:
        order = ", ".join(map(title, answers))
        heading = f"Above, a digit's label and number; below, the answers of {order}."
    if len(numbers) > MOST:
        heading += f" The first {MOST} of {len(numbers):,}."
    lines = textwrap.wrap(heading, width=110)
    figure = Figure(figsize=(WIDTH, 0.2 + 0.15 * len(lines) + 1.35 * rows))
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=8)
    grid = figure.add_gridspec(max(rows, 1), columns)
    for index, number in enumerate(numbers[:MOST]):
        panel = figure.add_subplot(
            grid[index], aspect="equal", xlim=(0, 28), ylim=(28, 0), xticks=[], yticks=[]
        )
        panel.set_title(str(labels[number]))
        panel.set_title(f"no. {number}", loc="right", color=GREY, fontsize=7, fontweight="normal")
        answered = " ".join(str(answer[number]) for answer in answers.values())
        panel.set_xlabel(answered, fontsize=min(9, 63 / len(answers)))
        panel.spines[:].set(visible=True, color="#D0D0D0")
        for level in LEVELS:
            path = runs(images[number] >= level)
            panel.add_patch(PathPatch(path, color=str(1 - level / 255), linewidth=0))
    return figure


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
