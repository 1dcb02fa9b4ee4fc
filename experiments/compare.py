"""Print the metrics of two models side by side, with the differences."""

from collections.abc import Iterator

import models
from stages import project_files
from stages.command import parser, run
from study.base.errors import UserError, quote
from study.evaluation.metrics import METRICS
from study.reporting import findings, tables
from study.reporting.formats import MISSING, number, signed

PUBLISHED = ("accuracy", "loss", "parameters")
"""The metrics by which the write-up compares models."""
Line = tuple[str, ...]
"""Name of a metric, its values for A and B, and B minus A."""


def main() -> None:
    """Print the comparison of the two models that the command names."""
    a, b = parse_models()
    lines = [("", a, b, "B − A"), *over_seeds(a, b), *one_run(a, b), *in_write_up(a, b)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *values in lines:
        cells = (value.rjust(width) for value, width in zip(values, widths[1:], strict=True))
        print("  ".join([name.ljust(widths[0]), *cells]).rstrip())


def parse_models() -> tuple[str, str]:
    """Return the two models that the command names. Raises UserError."""
    command = parser()
    command.add_argument("A", help="name of a model, as in params.yaml")
    command.add_argument("B", help="name of the model to compare it with")
    arguments = command.parse_args()
    for key, model in vars(arguments).items():
        if model not in models.names():
            raise UserError(
                f"{key} must be one of {', '.join(models.names())}, got {quote(model)}; run"
                " `make compare A=… B=…` with two of them"
            )
    return arguments.A, arguments.B


def over_seeds(a: str, b: str) -> Iterator[Line]:
    """Yield the accuracy of each model over its seeds, on the test set."""
    stats = {each.model: each for each in project_files.statistics() if each.default}
    first, second = stats.get(a), stats.get(b)
    difference = second.accuracy - first.accuracy if first and second else None
    means = (findings.mean_and_sd(each) if each else MISSING for each in (first, second))
    yield ("Accuracy, mean ± SD of seeds (%)", *means, signed(difference))
    yield ("Seeds", *(str(each.n) if each else MISSING for each in (first, second)), "")


def one_run(a: str, b: str) -> Iterator[Line]:
    """Yield the metrics of one run of each model, the networks in weights/."""
    measured = project_files.measured((a, b))
    first, second = measured[a], measured[b]
    for metric in METRICS:
        yield line(metric, "one run", getattr(first, metric), getattr(second, metric))
    if first.validation_images or second.validation_images:
        numbers = (each.validation_images or None for each in (first, second))
        yield ("Validation images, one run", *(number(each, 0) for each in numbers), "")


def in_write_up(a: str, b: str) -> Iterator[Line]:
    """Yield what the write-up compares the models by, if both are in it."""
    published = project_files.published().models
    if {a, b} <= published.keys():
        for metric in PUBLISHED:
            values = (getattr(published[model], metric) for model in (a, b))
            yield line(metric, "write-up", *values)


def line(metric: str, source: str, first: float | None, second: float | None) -> Line:
    """Return the line of a metric; a value may be missing."""
    unit, decimals = METRICS[metric].unit, METRICS[metric].decimals
    difference = tables.difference(second, first)
    return (
        f"{findings.metric_title(metric)}, {source}" + (f" ({unit})" if unit else ""),
        number(first, decimals),
        number(second, decimals),
        signed(difference, decimals),
    )


if __name__ == "__main__":
    run(main)
