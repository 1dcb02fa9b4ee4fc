"""The results as README shows them."""

from statistics import median
from typing import TypedDict

from benchmarks.comparison import LOOPS, Comparison, Spread
from benchmarks.pipeline import FACTORS, MODEL, Growth
from benchmarks.processes import WARM_UP


class Machine(TypedDict):
    """What the results were measured on."""

    processor: str
    cores: int
    load: float
    """Before the first measurement, as the system counts it over a minute: 0 is idle.

    Other work holds up a process of several threads more than several processes of one.
    """
    versions: dict[str, str]
    """Of Python and of the packages that matter."""


class Results(TypedDict):
    """What results.json holds."""

    machine: Machine
    comparison: Comparison
    growth: Growth
    no_change_seconds: float | None


def markdown(results: Results) -> str:
    """Both tables, each with a footer that says what was measured and what was worked out."""
    machine, comparison = results["machine"], results["comparison"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return "\n".join(
        [
            *speed(comparison),
            "",
            *growth(results["growth"]),
            "",
            at_rest(results["no_change_seconds"]),
            "",
            f"Measured on {machine['processor']}, {machine['cores']} cores, load before the start"
            f" {machine['load']:.1f}; {versions}.",
            "",
        ]
    )


def speed(comparison: Comparison) -> list[str]:
    """The textbook's loop beside this project's."""
    jobs, models, study = comparison["jobs"], comparison["models"], comparison["study"]
    turns = comparison["turns"]
    lines = [
        f"| | Textbook: s per epoch | This project: s per epoch of {jobs} models at once"
        " | s per epoch and model | Times faster | Peak memory: textbook | This project |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, model in models.items():
        cells = [
            name.replace("_", " ").capitalize(),
            f"{model['textbook']['epoch_seconds']:.1f}",
            f"{model['project']['epoch_seconds']:.1f}",
            f"{model['project_share_seconds']:.1f}",
            times(model["speedup"]),
            f"{model['textbook']['peak_memory_mib']} MiB",
            f"{model['project']['peak_memory_mib']} MiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    epochs = sum(model["epochs"] for model in models.values())
    lines.append(
        f"| Whole study, {epochs} epochs | {study['textbook_seconds'] / 60:.1f} min | "
        f"| {study['project_seconds'] / 60:.1f} min | {times(study['speedup'])} | | |"
    )
    batches = sorted({model["batches_per_epoch"] for model in models.values()})
    threads = next(iter(turns[0].values()))["textbook"]["threads"]
    theirs, ours = (
        median(model[loop]["start_up_seconds"] for model in models.values()) for loop in LOOPS
    )
    first = median(next(iter(turn.values()))["project"]["start_up_seconds"] for turn in turns)
    return [
        *lines,
        "",
        "An epoch trains on 60,000 images and tests on 10,000."
        f" Textbook: DataLoader and torchvision transforms, one process of {threads} threads, one"
        f" model after the other. This project: {jobs} one-thread processes of the same model at"
        " once, the slowest counts; memory is that of all together. Measured, one loop right after"
        f" the other, in {len(turns)} turns: {comparison['batches']} of"
        f" {' or '.join(map(str, batches))} batches, scaled to the epoch, and a whole test pass."
        " Shown: medians, and in brackets the range over the turns. The whole study is worked out"
        " from the medians: every model's start-up and epochs, in the order and as many at once as"
        f" in `make repro`. Start-up (imports, data, {WARM_UP} batches) takes {theirs:.1f} s"
        f" for the textbook, {ours:.1f} s for this project, and {first:.1f} s for its first model,"
        " which compiles the kernels. DVC and the stages around training are not counted.",
    ]


def growth(growth: Growth) -> list[str]:
    """How the cost of a training stage grows."""
    first, second, third = FACTORS
    samples = [f"{factor * growth['samples']:,}" for factor in FACTORS]
    lines = [
        f"| Cost grows with | {first}× | {second}× | {third}×"
        f" | Each more adds, up to {second}× | up to {third}× |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for dimension, seconds in (
        (f"{first}, {second}, {third} epochs", growth["by_epochs"]),
        (f"{', '.join(samples)} samples", growth["by_samples"]),
        (f"{first}, {second}, {third} models in turn", growth["by_models"]),
        (f"{first}, {second}, {third} models at once (JOBS)", growth["by_jobs"]),
    ):
        low, middle, high = seconds
        cells = [
            dimension,
            *(f"{value:.1f} s" for value in seconds),
            f"{(middle - low) / (second - first):.1f} s",
            f"{(high - middle) / (third - second):.1f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        f"Whole runs of `python -m stages.train {MODEL}`, start to end, once each, on one epoch of"
        f" {growth['samples']:,} samples where nothing else is said. Linear: both last columns"
        " alike. Flat up to the number of cores: nothing added by JOBS up to there.",
    ]


def at_rest(seconds: float | None) -> str:
    """What `dvc repro` takes when nothing changed."""
    if seconds is None:
        return "`dvc repro` with nothing to do: not measured, as there was something to do."
    return f"`dvc repro` with nothing to do: {seconds:.1f} s."


def times(spread: Spread) -> str:
    """A speedup with its range."""
    return f"{spread['median']:.1f} ({spread['least']:.1f}–{spread['most']:.1f})"
