"""metrics/runs.csv: what came of each run of experiments.yaml, one row each."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from study.base.errors import UserError, quote
from study.evaluation.steadiness import last_epochs_std
from study.evidence.configurations import Run, run_name
from study.recipes.recipe import Recipe

DECIMALS = {
    "accuracy": 2,
    "best_accuracy": 2,
    "loss": 4,
    "train_accuracy": 2,
    "last_epochs_std": 3,
    "parameters": 0,
}
COLUMNS = (
    "configuration",
    "model",
    *Recipe.model_fields,
    "revision",
    *DECIMALS,
    "test_accuracies",
)


@dataclass(frozen=True)
class Row:
    """What came of one run."""

    configuration: str
    """Its id in experiments.yaml."""
    model: str
    recipe: Recipe
    revision: str
    """The commit on which it ran."""
    metrics: Mapping[str, str]
    """As in metrics/, each with its DECIMALS; after a failed training, some may be `nan`."""
    test_accuracies: tuple[float, ...]
    """After each epoch, in percent."""

    @property
    def name(self) -> str:
        """Its run's."""
        return run_name(self.configuration, self.recipe.seed)


def resolution(metric: str) -> float:
    """Return the rounding step of a metric; 0 for a count."""
    return 10.0 ** -DECIMALS[metric] if DECIMALS[metric] else 0.0


def on_the_test_set(rows: Iterable[Row]) -> list[Row]:
    """Return the runs that were evaluated on the test set, not on held-out training images."""
    return [row for row in rows if not row.recipe.validation_images]


def format_metrics(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the metrics of a model as a row has them; `nothing` for one that is not there."""
    return {
        key: f"{metrics[key]:.{decimals}f}" if key in metrics else "nothing"
        for key, decimals in DECIMALS.items()
    }


def to_csv(rows: Iterable[Row]) -> str:
    """Write a header and the rows, sorted by configuration and seed."""
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
    """Read what `to_csv` wrote. Raises UserError, which names the line, where somebody else did."""
    header, *lines = csv.reader(io.StringIO(text)) if text else [[]]
    if tuple(header) != COLUMNS:
        known = ",".join(COLUMNS)
        raise UserError(f"{at(1)}: give {known}, or `git restore metrics/runs.csv`")
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, start=2):
        if len(line) != len(COLUMNS):
            raise UserError(f"{at(number)}: {len(line)} values: give {len(COLUMNS)}")
        values = dict(zip(COLUMNS, line, strict=True))
        recipe = Recipe.parse({key: values[key] for key in Recipe.model_fields}, f"{at(number)}: ")
        metrics = {
            key: f"{value(number, key, values[key]):.{decimals}f}"
            for key, decimals in DECIMALS.items()
        }
        accuracies = tuple(
            value(number, "test_accuracies", word) for word in values["test_accuracies"].split()
        )
        row = Row(
            values["configuration"],
            values["model"],
            recipe,
            values["revision"],
            metrics,
            accuracies,
        )
        if row.name in rows:
            raise UserError(f"{at(number)}: {row.name}: also in another line; remove one")
        rows[row.name] = row
    return [*rows.values()]


def value(line: int, key: str, text: str) -> float:
    """Return a number that stands in a line. Raises UserError."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{at(line)}: {key} = {quote(text)}: give a number") from None


def at(line: int) -> str:
    """Where a line is."""
    return f"metrics/runs.csv line {line}"


def valid(row: Row, runs: Mapping[str, Run]) -> bool:
    """Whether a row is of one of these runs, with the very recipe that it has now."""
    run = runs.get(row.name)
    return run is not None and (row.model, row.recipe) == (run.model, run.recipe)


def merge(rows: Iterable[Row], runs: Mapping[str, Run]) -> dict[str, Row]:
    """Return the rows that are valid, by name; the last one of a name counts."""
    return {row.name: row for row in rows if valid(row, runs)}


def contradictions(
    rows: Sequence[Row],
    runs: Mapping[str, Run],
    recipes: Mapping[str, Recipe],
    metrics: Mapping[str, Mapping[str, float]],
) -> Iterator[str]:
    """Yield one line for each row that is of no run, and for each figure that metrics/ has too.

    `rows` are in the order of the file, `recipes` are params.yaml's by model, and `metrics` what
    came of them.
    """
    for number, row in enumerate(rows, start=2):
        if not valid(row, runs):
            yield (
                f"{at(number)}: {row.name}: experiments.yaml and params.yaml ask for no such run of"
                f" {row.model} with this recipe; `make experiments` drops it"
            )
        elif recipes[row.model] == row.recipe:
            committed = format_metrics(metrics.get(row.model, {}))
            for key, value in row.metrics.items():
                if value != committed[key]:
                    yield (
                        f"{at(number)}: {row.name}: {key} = {value}, metrics/{row.model}.json has"
                        f" {committed[key]} for the same recipe; `git restore` the wrong one"
                    )
        yield from (f"{at(number)}: {row.name}: {line}" for line in disagreements(row))


def disagreements(row: Row) -> Iterator[str]:
    """Yield what a row says twice and not alike: once as metrics, once epoch by epoch."""
    mend = "`git restore metrics/runs.csv`"
    if len(row.test_accuracies) != row.recipe.epochs:
        yield f"{len(row.test_accuracies)} test_accuracies for {row.recipe.epochs} epochs; {mend}"
        return
    again = {
        "accuracy": row.test_accuracies[-1],
        "best_accuracy": max(row.test_accuracies),
        "last_epochs_std": last_epochs_std(row.test_accuracies),
    }
    for key, figure in again.items():
        if row.metrics[key] != (worked_out := f"{figure:.{DECIMALS[key]}f}"):
            yield f"{key} = {row.metrics[key]}, test_accuracies say {worked_out}; {mend}"
