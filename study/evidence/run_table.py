"""metrics/runs.csv: the result of each run of experiments.yaml, one row each."""

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from study.base.errors import UserError, quote
from study.evaluation.metrics import METRICS, Metrics, last_epochs_std
from study.evidence.configurations import Run, run_name
from study.recipes.recipe import Recipe

NAME = "metrics/runs.csv"
RESTORE = f"`git restore {NAME}` restores it"
COLUMNS = (
    "configuration",
    "model",
    *Recipe.model_fields,
    "revision",
    *METRICS,
    "test_accuracies",
)


@dataclass(frozen=True)
class Row:
    """The result of one run."""

    configuration: str
    """Id of the configuration."""
    model: str
    recipe: Recipe
    revision: str
    """The commit that was run."""
    metrics: Mapping[str, str]
    """As in metrics/models/, with the decimals of each."""
    test_accuracies: tuple[float, ...]
    """After each epoch, in percent; on the validation images if the recipe has any."""

    @property
    def name(self) -> str:
        """Name of the run."""
        return run_name(self.configuration, self.recipe.seed)


def format_metrics(metrics: Mapping[str, float | None]) -> dict[str, str]:
    """Return the metrics of a model as a row has them; `nothing` for a missing one."""
    return {
        key: "nothing" if (value := metrics.get(key)) is None else f"{value:.{metric.decimals}f}"
        for key, metric in METRICS.items()
    }


def on_the_test_set(rows: Iterable[Row]) -> list[Row]:
    """Return the runs that were evaluated on the test set, not on validation images."""
    return [row for row in rows if not row.recipe.validation_images]


def by_configuration(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the runs of each configuration, by number of parameters, then by name."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.configuration, []).append(row)
    order = sorted(groups, key=lambda name: (float(groups[name][0].metrics["parameters"]), name))
    return {name: groups[name] for name in order}


def metric_values(rows: Iterable[Row], metric: str) -> list[float]:
    """Return a metric of each run."""
    return [float(row.metrics[metric]) for row in rows]


def to_csv(rows: Iterable[Row]) -> str:
    """Return a header and the rows as CSV, sorted by configuration and seed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.configuration, row.recipe.seed)):
        recipe = row.recipe.model_dump().values()
        accuracies = " ".join(f"{accuracy:.2f}" for accuracy in row.test_accuracies)
        writer.writerow(
            (row.configuration, row.model, *recipe, row.revision, *row.metrics.values(), accuracies)
        )
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """Read the output of `to_csv`, even if an editor has added blanks or empty lines.

    Raises UserError, with the line, if it is malformed.
    """
    lines = [[cell.strip() for cell in cells] for cells in csv.reader(io.StringIO(text))]
    header = lines[0] if lines else []
    if any(separator in cell for separator in ";\t" for cell in header):
        raise UserError(
            f"{at(1)}: values must be separated by commas; save it so, or `git restore {NAME}`"
        )
    if tuple(header) != COLUMNS:
        known = ",".join(COLUMNS)
        raise UserError(
            f"{at(1)}: header must be {known}; if a metric or a key of Recipe is new or renamed,"
            " add or rename its column and fill in its value in every old row, which `make"
            f" experiments` cannot do; otherwise, `git restore {NAME}`"
        )
    rows: dict[str, Row] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != len(COLUMNS):
            raise UserError(f"{at(number)}: must have {len(COLUMNS)} values, got {len(cells)}")
        row = parse(number, dict(zip(COLUMNS, cells, strict=True)))
        if row.name in rows:
            raise UserError(f"{at(number)}: duplicate run {row.name}; remove one")
        rows[row.name] = row
    return [*rows.values()]


def parse(line: int, cells: Mapping[str, str]) -> Row:
    """Return the row in a line, given its cells by column. Raises UserError."""

    def number(key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{at(line)}: {key} must be a number, got {quote(text)}")
        return value

    metrics = {key: number(key, cells[key]) for key in METRICS}
    recipe = Recipe.parse({key: cells[key] for key in Recipe.model_fields}, f"{at(line)}: ")
    accuracies = [number("test_accuracies", word) for word in cells["test_accuracies"].split()]
    if len(accuracies) != recipe.epochs:
        raise UserError(
            f"{at(line)}: test_accuracies must have {recipe.epochs} values, one per epoch,"
            f" got {len(accuracies)}; {RESTORE}"
        )
    return Row(
        configuration=cells["configuration"],
        model=cells["model"],
        recipe=recipe,
        revision=cells["revision"],
        metrics=format_metrics(metrics),
        test_accuracies=tuple(accuracies),
    )


def at(line: int) -> str:
    """Return where a line is, for an error."""
    return f"{NAME} line {line}"


def valid(row: Row, runs: Mapping[str, Run]) -> bool:
    """Return True if a row belongs to one of these runs, with the recipe that the run has now."""
    run = runs.get(row.name)
    return run is not None and (row.model, row.recipe) == (run.model, run.recipe)


def merge(
    rows: Iterable[Row], runs: Mapping[str, Run], closed: Collection[str] = ()
) -> dict[str, Row]:
    """Return the valid rows by name; the last one if there are several of a name.

    Rows of the configurations `closed` are valid: nothing says any more what they should be.
    """
    return {row.name: row for row in rows if row.configuration in closed or valid(row, runs)}


def contradictions(
    rows: Sequence[Row],
    runs: Mapping[str, Run],
    closed: Collection[str],
    recipes: Mapping[str, Recipe],
    metrics: Mapping[str, Metrics],
) -> Iterator[str]:
    """Yield one line for each row without a run, each number that is wrong, and mixed networks.

    `rows` are in the order of the file. `closed` are configurations that have rows and no runs.
    `recipes` and `metrics` are those of the models in params.yaml and in metrics/models/.
    """
    for number, row in enumerate(rows, start=2):
        known = row.configuration in closed
        for line in (
            *(() if known else disagreements(row, runs, recipes, metrics)),
            *inconsistencies(row),
        ):
            yield f"{at(number)}: {row.name}: {line}"
    for name, of_name in by_configuration(rows).items():
        sizes = sorted({row.metrics["parameters"] for row in of_name})
        if len(sizes) > 1:
            yield (
                f"{NAME}: {name} has runs of networks with {' and '.join(sizes)} parameters; delete"
                " the rows of the old network"
            )


def disagreements(
    row: Row,
    runs: Mapping[str, Run],
    recipes: Mapping[str, Recipe],
    metrics: Mapping[str, Metrics],
) -> Iterator[str]:
    """Yield the differences between a row and experiments.yaml or metrics/models/."""
    if not valid(row, runs):
        yield (
            f"experiments.yaml and params.yaml have no such run of {row.model} with this recipe;"
            " `make experiments` drops it"
        )
    elif recipes[row.model] == row.recipe:
        committed = format_metrics(asdict(metrics.get(row.model, Metrics())))
        for key, value in row.metrics.items():
            if value != committed[key]:
                yield (
                    f"{key} is {value}, but metrics/models/{row.model}.json has {committed[key]}"
                    " for the same recipe; `git restore` the wrong one"
                )


def inconsistencies(row: Row) -> Iterator[str]:
    """Yield inconsistencies between the metrics of a row and its accuracies after each epoch."""
    computed = {
        "best_accuracy": max(row.test_accuracies),
        "last_epochs_std": last_epochs_std(row.test_accuracies),
    }
    # A GPU rounds differently from the CPU on which the stage `evaluate` runs.
    if row.recipe.device == "cpu":
        computed["accuracy"] = row.test_accuracies[-1]
    for key, value in computed.items():
        if row.metrics[key] != (expected := f"{value:.{METRICS[key].decimals}f}"):
            yield f"{key} is {row.metrics[key]}, but test_accuracies give {expected}; {RESTORE}"
