"""`make experiments RAY=…` on a cluster of two nodes, with one core each, on this machine."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.scaling import local_cluster  # before Ray, which then listens only on loopback

from ray.cluster_utils import Cluster as Raylets  # isort: skip

from stages import paths
from tests.checkout import Checkout
from tests.experiments import held_study
from tests.experiments.held_study import (
    MODEL,
    Trainings,
    interrupt_at,
    make_experiments,
    processes_below,
    reference,
    rows,
)
from tests.mounts import small_disk

# One worker of pytest-xdist runs all of them: one cluster is enough for this machine.
pytestmark = pytest.mark.xdist_group("cluster")


class Study:
    """A study of few images, and the cluster that it runs on."""

    def __init__(
        self, folder: Path, checkout: Checkout, trainings: Trainings, cluster: Raylets
    ) -> None:
        self.nodes = folder / "nodes"
        self.checkout = checkout
        self.trainings = trainings
        self.cluster = cluster
        self.members = {name: self.add(name) for name in ("first", "second")}

    def add(self, name: str) -> Any:
        """Add a node with a folder of its own, as a shell starts it in its background."""
        (self.nodes / name).mkdir(parents=True, exist_ok=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return local_cluster.add_node(self.cluster, 1, self.nodes / name)
        finally:
            signal.signal(signal.SIGINT, before)

    def plan(self, seeds: list[int], broken_seeds: list[int] | None = None) -> None:
        """Commit an experiments.yaml with seeds that have not run yet."""
        held_study.plan(self.checkout, seeds, broken_seeds)

    def make(self) -> AbstractContextManager["subprocess.Popen[str]"]:
        """Start `make experiments` on the cluster."""
        return make_experiments(self.checkout, f"RAY={self.cluster.address}")

    def finish(self) -> str:
        """Run `make experiments` on the cluster to its end; return its output."""
        with self.make() as make:
            text, _ = make.communicate()
        assert "Traceback" not in text
        return text

    def seeds(self) -> list[int]:
        """Return the seeds in the run table."""
        return [row.recipe.seed for row in rows(self.checkout)]

    def times(self, *seeds: int) -> list[int]:
        """Return how often each of these seeds has been trained."""
        return [self.trainings.seeds().count(seed) for seed in seeds]

    def training(self, seed: int) -> psutil.Process:
        """Return the process that trains a seed, as soon as there is one."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if process := self.trainings.process(seed):
                return process
            time.sleep(0.1)
        raise TimeoutError(f"seed {seed} is not trained")

    def worker(self, training: psutil.Process) -> psutil.Process:
        """Return Ray's process that has started a training."""
        inner = {process.pid for process in processes_below(self.nodes)}
        return next(process for process in training.parents() if process.pid not in inner)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("cluster")
    checkout, trainings = held_study.create(folder, mnist_folder)
    with pytest.MonkeyPatch.context() as patch:
        # This user's configuration must not reach the nodes, either.
        for key, value in checkout.environment.items():
            patch.setenv(key, value)
        with local_cluster.start() as cluster:
            yield Study(folder, checkout, trainings, cluster)


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: an experiment fails for its own reasons",
    "it is listed with the path of its log; the others continue",
)
def test_cluster_gives_the_same_as_this_machine(study: Study, tmp_path: Path) -> None:
    study.plan([1, 2], [1])
    text = study.finish()
    (line,) = re.findall("^failed: .*$", text, re.MULTILINE)
    log = ".dvc/tmp/experiments/broken-seed-1.log"
    assert line.startswith("failed: broken-seed-1 ")
    assert line.endswith(log)
    assert "ValueError: broken" in (study.checkout.root / log).read_text("utf-8")
    assert "2 of 3 done, 0 running, 0 queued, 1 failed" in text

    local = Checkout(tmp_path / "local", study.checkout.environment)
    study.checkout.run("git", "clone", "--quiet", str(study.checkout.root), str(local.root))
    for key, value in (("user.name", "A user"), ("user.email", "user@example.org")):
        local.run("git", "config", key, value)
    with make_experiments(local) as make:
        make.communicate()
    assert rows(study.checkout) == rows(local)
    assert [row.name for row in rows(local)] == ["fine-seed-1", "fine-seed-2"]
    for name in ("fine-seed-1", "fine-seed-2"):
        trees = {
            checkout.run("git", "rev-parse", f"{reference(checkout, name)}^{{tree}}")
            for checkout in (study.checkout, local)
        }
        assert len(trees) == 1

    # Each node has fetched the raw data once, and DVC has stored them once.
    large = [path for path in study.nodes.rglob("*") if path.stat().st_size > 40 * 2**20]
    assert sorted(path.relative_to(study.nodes).parts[0] for path in large) == [
        "first",
        "first",
        "second",
        "second",
    ]
    assert [*study.nodes.glob("*/*/experiment-*")] == []

    # DVC has it as if it had run here.
    checkout = study.checkout
    assert "fine-seed-2" in checkout.run("dvc", "exp", "show", "--csv")
    difference = checkout.run("dvc", "metrics", "diff", "fine-seed-1", "fine-seed-2", "--md")
    first, second = (float(row.metrics["loss"]) for row in rows(checkout))
    assert re.search(rf"{MODEL}.json \| loss +\| {first} +\| {second} ", difference)
    # The stages of other models have not run.
    applied = [
        sorted(
            each.attempt("dvc", "exp", "apply", "fine-seed-2")[1]
            .replace(str(each.root), "")
            .splitlines()
        )
        for each in (checkout, local)
    ]
    assert applied[0] == applied[1]
    assert (checkout.root / paths.weights(MODEL)).exists()
    assert checkout.run("dvc", "status", f"evaluate@{MODEL}").endswith("up to date.\n")
    checkout.restore()


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a worker process is killed",
    "the processes that it started end; Ray runs the experiment again",
)
def test_experiment_runs_again_if_its_worker_is_killed(study: Study) -> None:
    study.plan([3, 10])
    with study.make() as make:
        training = study.training(10)
        study.worker(training).kill()
        training.wait(60)
        study.trainings.release(10)
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert study.seeds() == [3, 10]
    assert study.times(3, 10) == [1, 1]


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a node is killed",
    "its experiments run again on other nodes, or as soon as there is one",
)
def test_experiment_runs_again_if_its_node_is_killed(study: Study) -> None:
    study.plan([4, 11])
    with study.make() as make:
        training = study.training(11)
        (name,) = Path(training.cwd()).relative_to(study.nodes).parts[:1]
        study.cluster.remove_node(study.members.pop(name), allow_graceful=False)
        training.wait(60)
        study.trainings.release(11)
        text, _ = make.communicate()
    study.members[name] = study.add(name)
    assert make.returncode == 0, text
    assert study.seeds() == [4, 11]
    assert study.times(4, 11) == [1, 1]


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: Ctrl-C, and the driver killed and started again",
    "nodes end the experiments and remove their files; collected ones do not run again",
)
def test_stopped_and_killed_driver_continues(study: Study) -> None:
    study.plan([5, 12])
    with study.make() as make:
        text = interrupt_at(make, "1 of 2 done, 1 running, 0 queued")
    assert make.returncode != 0
    assert "stopped with 1 of 2 " in text
    assert "Traceback" not in text
    assert psutil.wait_procs(processes_below(study.nodes), 60)[1] == []
    assert [*study.nodes.glob("*/*/experiment-*")] == []

    with study.make() as make:
        training = study.training(12)
        os.killpg(make.pid, signal.SIGKILL)
    training.wait(60)
    assert study.seeds() == [5]
    # The results of a repeated training could come from DVC's cache; its commit could not.
    commit = reference(study.checkout, "fine-seed-5")

    study.trainings.release(12)
    assert "2 of 2 done, 0 running, 0 queued, 0 failed" in study.finish()
    assert study.seeds() == [5, 12]
    assert study.times(5, 12) == [1, 1]
    assert commit == reference(study.checkout, "fine-seed-5")


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a node's disk is full",
    "it is excluded, and its free space is printed; others run its experiments",
)
def test_node_with_a_full_disk_is_excluded(study: Study) -> None:
    full = study.nodes / "full"
    full.mkdir()
    with small_disk(full, "1m"):
        for name in ("first", "second"):
            study.cluster.remove_node(study.members.pop(name))
        member = study.add("full")
        study.plan([6, 7])
        with study.make() as make:
            assert make.stdout is not None
            text = "".join(iter(make.stdout.readline, ""))
        assert make.returncode != 0
        assert "error: no node is left that can run experiments" in text

        study.members["first"] = study.add("first")
        text = study.finish()
        assert re.search(r"(?m)^excluding node \w+ \(127\.0\.0\.1\): \S+: \d MiB free", text)
        assert study.seeds() == [6, 7]
        study.cluster.remove_node(member)
        study.members["second"] = study.add("second")
