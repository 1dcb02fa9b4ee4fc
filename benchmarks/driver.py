"""The driver of a Ray cluster by itself: many experiments in which nodes do nothing."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

import benchmarks.nodes  # isort: skip  # noqa: F401  before Ray
import ray

import models
from experiments import cluster, files, git, node
from experiments.results import Results
from experiments.signals import Signals
from stages import paths
from stages.download import main as download
from study.base.files import read_text
from study.evidence import configurations
from study.recipes import params_file

OUTPUTS = 160_000  # bytes of weights and predictions
SAMPLE = 100  # experiments between two looks at the memory, which take longer than they do


def stand_in(
    study: node.Study, ref: str, command: Sequence[str], stages: Sequence[str]
) -> Iterator[node.Begun | node.Finished]:
    """Say what a node says, of nothing."""
    yield node.Begun()
    contents = os.urandom(OUTPUTS)
    yield node.Finished(b"", {hashlib.md5(contents, usedforsecurity=False).hexdigest(): contents})


class Driver(cluster.Cluster):
    """One that has nodes do nothing, and notes its memory."""

    def __init__(self, results: Results) -> None:
        """Put the stand-in in place."""
        super().__init__(results)
        self.perform = ray.remote(stand_in)
        self.collected = 0
        self.begun = time.perf_counter()
        self.memory: dict[str, float] = {"connected": mebibytes()}

    def submit(self, name: str) -> None:
        """Note the memory now and then."""
        super().submit(name)
        if len(self.tasks) % SAMPLE == 0:
            self.memory["submitted"] = mebibytes()

    def keep(self, name: str, finished: node.Finished) -> None:
        """Drop it: what DVC and Git take is measured by itself."""
        self.collected += 1
        if self.collected % SAMPLE == 0:
            self.memory["most"] = max(self.memory.get("most", 0), mebibytes())


def mebibytes() -> float:
    """Return how much memory this process holds that it does not share."""
    return round(float(psutil.Process().memory_full_info().uss) / 2**20, 1)


def main(address: str, count: int) -> None:
    """Run so many on the cluster, and print what it took."""
    text = f"""\
seeds: [{", ".join(map(str, range(1, count + 1)))}]
configurations: [{{id: nothing, model: model_3, description: nothing}}]
"""
    runs = configurations.runs(
        text, params_file.read(read_text(paths.PARAMS), models.names())
    )
    download()
    cluster.connect(address)
    driver = Driver(Results(runs, git.call("rev-parse", "HEAD").strip()))
    driver.watch(list(runs), Signals())
    said: dict[str, Any] = {
        "experiments": driver.collected,
        "seconds": round(time.perf_counter() - driver.begun, 1),
        "memory_mib": driver.memory,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
