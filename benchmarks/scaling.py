"""docs/scaling.md, out of what benchmarks/cluster.py has measured."""

from typing import Any

LARGE = 100_000
NODES = 2  # of one core each, in the real study


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
    driver = results["driver"]
    return [
        *lines,
        "",
        "Whole commands, start to end, in which the stages are stand-ins that compute nothing: Ray,"
        " Git, DVC, the start of Python, and the raw data's way to each node are what is left. All"
        f" workers share {results['machine']['cores']} cores.",
        "",
        "Of Ray and the driver alone, where nodes do nothing and nothing is kept:"
        f" {driver['experiments']:,} experiments in {driver['seconds']:.0f} seconds,"
        f" {driver['experiments'] / driver['seconds']:.0f} per second.",
        "",
        "A node keeps the raw data, the commits and DVC's cache in `mnist-study-UID` in its folder"
        " for temporary files (`TMPDIR`); when nothing runs there, that may be removed.",
    ]


class Costs:
    """What an experiment takes, and the driver with one more beside those that it has."""

    def __init__(self, results: dict[str, Any]) -> None:
        """Work it out of what was measured."""
        self.records: dict[int, dict[str, float]]
        self.records = {int(count): times for count, times in results["records"].items()}
        study, overhead = results["study"], results["overhead"]
        self.around: float = overhead["seconds"]["1"] / overhead["each"]
        """Core-seconds of an experiment without its stages."""
        self.core_seconds: float = NODES * study["cluster_seconds"] / study["experiments"]
        """Of one in the real study."""

    def hours(self, count: int, cores: int) -> float:
        """Return how long experiments take on so many cores."""
        return self.core_seconds * count / cores / 3600

    def seconds(self, key: str, count: int) -> float:
        """Return what was measured beside so many; else it is on the line through the last two."""
        if count in self.records:
            return self.records[count][key]
        some, many = sorted(self.records)[-2:]
        first, last = self.records[some][key], self.records[many][key]
        return last + (last - first) / (many - some) * (count - many)

    def taking_in(self, count: int) -> float:
        """Return the seconds for one more that is written into the ledger by itself."""
        return self.seconds("fetch_seconds", count) + self.seconds("look_seconds", count)


def limits(results: dict[str, Any]) -> list[str]:
    """What breaks first, at 10, 1,000 and 100,000 experiments."""
    costs = Costs(results)
    few, some, many = sorted(costs.records)
    size = results["sizes"]
    return [
        f"**{few:,} experiments**: what is around them.",
        f"One like those above takes {costs.core_seconds:.0f} core-seconds, about"
        f" {costs.around:.0f} of which are not its stages'; longer trainings make these count less,"
        " and all that follows take longer.",
        f"Each node takes the raw data, {megabytes(size['raw'])}, and the commit,"
        f" {megabytes(size['commit'])}, once.",
        f"One that comes back keeps the driver busy for {costs.taking_in(few):.2f} seconds.",
        "",
        f"**{some:,} experiments**: patience.",
        f"They are {costs.hours(some, 1):.0f} core-hours: {costs.hours(some, 2):.0f} hours on 2"
        f" cores, {costs.hours(some, 100) * 60:.0f} minutes on 100.",
        f"Taking in one takes {costs.taking_in(some):.2f} seconds, so the driver keeps up with"
        f" about {costs.core_seconds / costs.taking_in(some):.0f} cores.",
        f"All of them are {megabytes(size['experiment'] * some)} on its disk.",
        "",
        *large(costs, results),
        "",
        f"What is said of {LARGE:,} lies on a straight line through what was measured at {some:,}"
        f" and {many:,}.",
    ]


def large(costs: Costs, results: dict[str, Any]) -> list[str]:
    """Return the sentences on as many as nobody has measured."""
    many = max(costs.records)
    fetch, look, anew = (f"{key}_seconds" for key in ("fetch", "look", "first_look"))
    fetching = LARGE * (costs.seconds(fetch, 0) + costs.seconds(fetch, LARGE)) / 2 / 3600
    cores = costs.core_seconds / costs.seconds(fetch, LARGE)
    driver = results["driver"]
    memory = driver["memory_mib"]
    each = (max(memory.values()) - memory["connected"]) / driver["experiments"]
    gibibytes = (memory["connected"] + each * LARGE) / 1024
    first = "the driver" if cores < 100 else f"patience, and beyond {cores:.0f} cores the driver"
    return [
        f"**{LARGE:,} experiments**: {first}.",
        f"On 100 cores they take {costs.hours(LARGE, 100):.0f} hours.",
        f"To fetch one takes {costs.seconds(fetch, many):.2f} seconds beside {many:,}, and about"
        f" {costs.seconds(fetch, LARGE):.2f} beside {LARGE:,}: Git has a reference for each.",
        f"That is {fetching:.0f} hours in all, and in the end keeps about {cores:.0f} cores busy.",
        "The ledger, one file, is written anew for all that have come meanwhile, in"
        f" {costs.seconds(look, many):.1f} seconds at {many:,} and about"
        f" {costs.seconds(look, LARGE):.0f} at {LARGE:,}; a lost one is read from Git in about"
        f" {costs.seconds(anew, LARGE) / 60:.0f} minutes.",
        f"The driver's own process takes {max(memory.values()):.0f} MiB with"
        f" {driver['experiments']:,} on their way, so about {gibibytes:.1f} GiB with {LARGE:,}"
        " (Ray's processes not counted).",
        f"Its disk takes {megabytes(results['sizes']['experiment'] * LARGE)}.",
    ]


def megabytes(count: int) -> str:
    """Return a number of bytes in MB, or GB where these are many."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
