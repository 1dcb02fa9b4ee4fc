"""docs/scaling.md, out of what benchmarks/cluster.py has measured."""

from typing import Any

LARGE = 100_000
EPOCHS = 15  # of most models


def markdown(results: dict[str, Any]) -> str:
    """Return the note."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# More than one machine",
        "",
        "What `make experiments RAY=…` costs, and what breaks first as a study grows. `python -m"
        " benchmarks.cluster` measures and writes this page. What it survives stands in"
        " [tests/faults/README.md](../tests/faults/README.md).",
        "",
        "## Side by side",
        "",
        *side_by_side(results["study"]),
        "",
        "## What comes on top",
        "",
        *on_top(results),
        "",
        "## What breaks first",
        "",
        *limits(results),
        "",
        f"Measured on {machine['processor']}, {machine['cores']} cores, which all nodes shared,"
        f" with a load of {machine['load']:.1f} before and {machine['load_after']:.1f} after;"
        f" {versions}. The driver is one more process on the same cores.",
    ]
    return "\n".join(lines) + "\n"


def side_by_side(study: dict[str, Any]) -> list[str]:
    """The same experiments through DVC's queue and on a cluster."""
    same = "the same, to the last digit" if study["same_ledger"] else "NOT the same"
    return [
        f"| Model 3, {study['experiments']} seeds, {study['epochs']} epochs each | Seconds |",
        "| --- | ---: |",
        f"| `make experiments JOBS=2`: `dvc queue start --jobs 2` | {study['queue_seconds']:.0f} |",
        f"| `make experiments RAY=…`: Ray, 2 nodes of 1 core | {study['cluster_seconds']:.0f} |",
        "",
        f"The rows of both ledgers are {same}. Both times are those of the whole command. DVC's"
        " queue takes up all experiments, one by one, before it starts the first; a node's first"
        " experiment brings the raw data.",
    ]


def on_top(results: dict[str, Any]) -> list[str]:
    """What an experiment costs beside its training."""
    each, seconds = results["overhead"]["each"], results["overhead"]["seconds"]
    lines = [
        "| Workers of 1 core | Experiments | Seconds | Experiments per second |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for workers, taken in seconds.items():
        count = each * int(workers)
        lines.append(f"| {workers} | {count} | {taken:.0f} | {count / taken:.2f} |")
    cores = results["machine"]["cores"]
    driver = results["driver"]
    return [
        *lines,
        "",
        "Whole commands, in which the stages are stand-ins that compute nothing: Ray, Git, DVC and"
        f" the start of Python are what is left. All workers share {cores} cores, so more than"
        f" {cores} of them add nothing here; on cores of their own they would.",
        "",
        f"Of Ray and the driver alone, without Git and DVC: {driver['experiments']:,} experiments"
        f" in {driver['seconds']:.0f} seconds, {driver['experiments'] / driver['seconds']:.0f} per"
        " second.",
        "",
        "A node keeps the raw data, the commits and DVC's cache in `mnist-study-UID` in its folder"
        " for temporary files (`TMPDIR`); when nothing runs there, that may be removed.",
    ]


def limits(results: dict[str, Any]) -> list[str]:
    """What breaks first, at 10, 1,000 and 100,000 experiments."""
    study, driver = results["study"], results["driver"]
    records, sizes = results["records"], results["sizes"]
    few, some, many = sorted(map(int, records))
    taking_in = {
        count: records[str(count)]["fetch_seconds"] + records[str(count)]["look_seconds"]
        for count in (few, some, many)
    }

    core_seconds = 2 * study["cluster_seconds"] / study["experiments"] / study["epochs"]
    hours = core_seconds * EPOCHS * some / 3600

    # What grows with the number of experiments, from the largest number measured.
    scale = LARGE / many
    fetch, look, anew = (
        records[str(many)][key] * scale
        for key in ("fetch_seconds", "look_seconds", "first_look_seconds")
    )
    memory = driver["memory_mib"]
    each = (max(memory.values()) - memory["connected"]) / driver["experiments"]
    gibibytes = (memory["connected"] + each * LARGE) / 1024
    return [
        f"**{few:,} experiments**: nothing. What shows is that every node takes the raw data,"
        f" {megabytes(sizes['raw'])}, and the commit, {megabytes(sizes['commit'])}, once. The"
        f" driver is busy for {taking_in[few]:.2f} seconds with each experiment that comes back.",
        "",
        f"**{some:,} experiments**: patience. {EPOCHS} epochs of Model 3 each, at"
        f" {core_seconds:.0f} core-seconds an epoch with all that is around it, are {hours:.0f}"
        f" core-hours: {hours / 2:.0f} hours on 2 cores, {hours / 100 * 60:.0f} minutes on 100. The"
        f" driver keeps up: {taking_in[some]:.2f} seconds an experiment make"
        f" {taking_in[some] * some / 60:.0f} minutes of work in all, and"
        f" {megabytes(sizes['experiment'] * some)} on its disk.",
        "",
        f"**{LARGE:,} experiments**: the driver. Beside {many:,} experiments, it takes"
        f" {fetch / scale:.2f} seconds to fetch one more and {look / scale:.2f} to write the ledger"
        f" anew, once for all that have come meanwhile. Both grow with the number: at {LARGE:,},"
        f" about {fetch:.1f} and {look:.0f} seconds. So Git's refs, one for each experiment, and"
        f" the ledger in one file break first, at {1 / fetch:.1f} experiments per second or fewer,"
        f" however large the cluster. A lost ledger takes {anew / 60:.0f} minutes to be read from"
        f" Git. Memory does not: {max(memory.values()):.0f} MiB with"
        f" {driver['experiments']:,} experiments on their way, {each * 1024:.0f} KiB each, so"
        f" {gibibytes:.1f} GiB. Nor does the disk, with {megabytes(sizes['experiment'] * LARGE)}.",
    ]


def megabytes(count: int) -> str:
    """Return a number of bytes in MB, or GB where these are many."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
