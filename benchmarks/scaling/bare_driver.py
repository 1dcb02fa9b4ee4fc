"""The driver of a Ray cluster by itself: many experiments in which nodes do nothing."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

import benchmarks.scaling.local_cluster  # isort: skip  # noqa: F401  must come before Ray
import ray

from experiments import git
from experiments.cluster import driver, node
from experiments.collect import Collector
from experiments.signals import Signals
from stages import paths, project_files
from study.data import sources
from study.evidence import configurations

OUTPUTS = 160_000  # bytes of weights and predictions
SAMPLE = 100  # experiments between two looks at the memory, which take longer than they do


def do_nothing(
    study: node.Study, ref: str, command: Sequence[str], stages: Sequence[str]
) -> Iterator[node.Started | node.Finished]:
    """Yield the messages of a node, with random outputs."""
    yield node.Started()
    contents = os.urandom(OUTPUTS)
    yield node.Finished(b"", {driver.md5(contents): contents})


class BareCluster(driver.Cluster):
    """A cluster whose nodes do nothing; records the driver's memory."""

    def __init__(self, collector: Collector) -> None:
        """Replace what nodes do."""
        super().__init__(collector)
        self.run_experiment = ray.remote(do_nothing)
        self.collected = 0
        self.start = time.perf_counter()
        self.memory: dict[str, float] = {"connected": mebibytes()}

    def submit(self, name: str) -> None:
        """Submit an experiment; record the memory now and then."""
        super().submit(name)
        if len(self.tasks) % SAMPLE == 0:
            self.memory["submitted"] = mebibytes()

    def import_commit(self, name: str, finished: node.Finished) -> None:
        """Discard a result: the cost of keeping it is measured separately."""
        self.collected += 1
        if self.collected % SAMPLE == 0:
            self.memory["most"] = max(self.memory.get("most", 0), mebibytes())


def mebibytes() -> float:
    """Return this process's memory that it does not share, in MiB."""
    return round(float(psutil.Process().memory_full_info().uss) / 2**20, 1)


def main(address: str, count: int) -> None:
    """Run `count` experiments on the cluster, and print the measurement."""
    text = f"""\
seeds: [{", ".join(map(str, range(1, count + 1)))}]
configurations: [{{id: nothing, model: model_3, description: nothing}}]
"""
    runs = configurations.runs(text, project_files.params())
    sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))
    driver.connect(address)
    cluster = BareCluster(Collector(runs, git.call("rev-parse", "HEAD").strip()))
    cluster.watch(list(runs), Signals())
    measurement: dict[str, Any] = {
        "experiments": cluster.collected,
        "seconds": round(time.perf_counter() - cluster.start, 1),
        "memory_mib": cluster.memory,
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
