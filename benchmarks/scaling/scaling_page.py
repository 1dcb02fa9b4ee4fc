"""The text of docs/scaling.md, from benchmarks/cluster.json."""

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import versions
from benchmarks.processes import ROOT
from study.reporting import templates

RESULTS = ROOT / "benchmarks/cluster.json"
TEMPLATE = Path(__file__).parent / "scaling.md.j2"
LARGE = 100_000
NODES = 2  # of one core each, in the study that is trained


def read() -> dict[str, Any]:
    """Return the last results."""
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return results


def markdown(results: dict[str, Any]) -> str:
    """Return the page."""
    costs = Costs(results)
    few, some, many = sorted(costs.records)
    values = {
        **results,
        "costs": costs,
        "few": few,
        "some": some,
        "many": many,
        "large": LARGE,
        "whole": "{:.0f}".format,
        "number": "{:,}".format,
        "megabytes": megabytes,
    }
    return templates.render(TEMPLATE, values, [versions], autoescape=False)


class Costs:
    """Costs of an experiment, computed from the measurements."""

    def __init__(self, results: dict[str, Any]) -> None:
        """Compute them."""
        study, overhead, driver = results["study"], results["overhead"], results["driver"]
        self.core_seconds: float = NODES * study["cluster_seconds"] / study["experiments"]
        self.overhead: float = overhead["seconds"]["1"] / overhead["each"]
        """Core-seconds outside its stages."""
        self.records = {int(count): seconds for count, seconds in results["records"].items()}
        last_fetch = self.seconds("fetch_seconds", LARGE)
        self.fetching_hours = LARGE * (self.seconds("fetch_seconds", 0) + last_fetch) / 2 / 3600
        """Hours to fetch LARGE experiments, each slower than the one before."""
        self.cores_at_most = self.core_seconds / last_fetch
        """Cores that the driver keeps up with, in the end."""
        memory = driver["memory_mib"]
        each = (max(memory.values()) - memory["connected"]) / driver["experiments"]
        self.driver_gibibytes: float = (memory["connected"] + each * LARGE) / 1024

    def hours(self, count: int, cores: int) -> float:
        """Return the hours that experiments take on `cores` cores."""
        return self.core_seconds * count / cores / 3600

    def seconds(self, key: str, count: int) -> float:
        """Return a time measured with `count` experiments, or extrapolate the last two times."""
        if count in self.records:
            return float(self.records[count][key])
        some, many = sorted(self.records)[-2:]
        first, last = self.records[some][key], self.records[many][key]
        return float(last + (last - first) / (many - some) * (count - many))

    def collecting(self, count: int) -> float:
        """Return the seconds to collect one more experiment."""
        return self.seconds("fetch_seconds", count) + self.seconds("look_seconds", count)


def megabytes(count: int) -> str:
    """Return a number of bytes in MB, or in GB from 1 GB on."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
