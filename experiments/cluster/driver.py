"""Experiments on a Ray cluster: Ray places them, transfers their inputs, and retries them."""

import hashlib
import logging
import re
import socket
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.exceptions import RayError, TaskCancelledError

from experiments import compiled, dvc, git, workspace
from experiments.cluster import node
from experiments.collect import Collector
from experiments.folder import log
from experiments.signals import Signals
from experiments.status_line import StatusLine
from stages import NEEDED, paths
from study.base.errors import UserError, quote
from study.base.files import write
from study.base.resources import MEMORY_OF_A_TRAINING
from study.data import raw
from study.evidence.configurations import Run

POLL = 1  # seconds between two looks at the cluster
STOP_TIMEOUT = 60  # seconds that nodes have to end their experiments
RETRIES = 5  # of an experiment whose worker or node is lost


def check_address(address: str) -> str:
    """Return the address of a cluster. Raises UserError if it is malformed or nothing listens."""
    if address == "auto":
        return address
    found = re.fullmatch(r"([\w.-]+):(\d{1,5})", address)
    if found is None:
        raise UserError(
            f"RAY must be `auto` for the cluster that this machine is in, or host:port of its head,"
            f" got {quote(address)}"
        )
    try:
        socket.create_connection((found[1], int(found[2])), timeout=10).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(
            f"RAY = {address}: {error}; `ray start --head` on the head prints its address"
        ) from None
    return address


def run_all(address: str, collector: Collector, remaining: list[str], signals: Signals) -> None:
    """Run the remaining runs, as many at once as the cluster has capacity for. Raises UserError."""
    connect(address)
    signals.install_handlers()  # Ray has replaced some
    try:
        cluster = Cluster(collector)
        try:
            cluster.watch(remaining, signals)
        finally:
            if cluster.tasks:
                print("stopping", flush=True)
                cluster.stop()
    finally:
        # Ray ends the remaining tasks of this program.
        ray.shutdown()


def md5(contents: bytes) -> str:
    """Return the checksum under which DVC keeps a file."""
    return hashlib.md5(contents, usedforsecurity=False).hexdigest()


def connect(address: str) -> None:
    """Join the cluster. Raises UserError."""
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"RAY = {address}: {line}; `ray start` adds this machine to a cluster"
        ) from None


class Cluster:
    """The experiments that are queued or running on the cluster."""

    def __init__(self, collector: Collector) -> None:
        """Put what all experiments need into Ray's object store."""
        self.collector = collector
        self.cache = dvc.cache()
        self.study = package_study(collector.revision)
        for name in raw.SHA256:
            # As if a stage had fetched them here: experiments refer to them.
            contents = (paths.MNIST / name).read_bytes()
            self.cache_output(md5(contents), contents)
        self.tasks: dict[Any, str] = {}
        """Each run by its Ray task: a generator of the node's messages."""
        self.running: set[str] = set()
        self.failed: set[str] = set()
        self.excluded: set[str] = set()
        """Ids of the nodes that cannot run experiments."""
        self.returned: list[str] = []
        """Runs that an excluded node has sent back."""
        # By value: the nodes have no checkout of this project.
        for module in (node, compiled):
            ray.cloudpickle.register_pickle_by_value(module)
        self.run_experiment = ray.remote(max_retries=RETRIES)(node.run_experiment)

    def watch(self, remaining: list[str], signals: Signals) -> None:
        """Run experiments, show progress, collect results, until nothing is queued or running."""
        runs = self.collector.runs
        check_gpus(runs[name] for name in remaining)
        if not any(map(self.has_capacity, {needs_gpu(runs[name]) for name in remaining})):
            print(
                "waiting for a Ray node with 1 free CPU and"
                f" {MEMORY_OF_A_TRAINING / 1e9} GB of memory",
                flush=True,
            )
        status = StatusLine(self.collector)
        for name in remaining:
            self.submit(name)
        while signals.received is None:
            queued = set(self.tasks.values()) - self.running
            status.show(len(remaining), self.running, queued, len(self.failed))
            if not self.tasks:
                return
            tasks = list(self.tasks)
            ready, _ = ray.wait(tasks, num_returns=len(tasks), timeout=POLL)
            names = {task: self.tasks[task] for task in ready}
            if finished := [names[task] for task in ready if self.handle_message(task)]:
                remaining = self.collector.update()
                for name in finished:
                    status.finish(name)
            while self.returned:
                self.submit(self.returned.pop())
            if self.excluded and not self.running:
                self.check_capacity()

    def submit(self, name: str) -> None:
        """Have Ray run an experiment on any node that is not excluded."""
        run = self.collector.runs[name]
        elsewhere = {"ray.io/node-id": f"!in({','.join(self.excluded)})"} if self.excluded else None
        stages = ["recipes", "download", f"train@{run.model}", f"evaluate@{run.model}"]
        required = resources(needs_gpu(run))
        task = self.run_experiment.options(
            num_cpus=required["CPU"],
            num_gpus=required["GPU"],
            memory=required["memory"],
            label_selector=elsewhere,
        ).remote(self.study, self.collector.ref(name), dvc.exp_run(run), stages)
        self.tasks[task] = name

    def handle_message(self, task: Any) -> bool:
        """Handle the next message of an experiment; return True if the experiment is finished."""
        name = self.tasks[task]
        message: object
        try:
            message = ray.get(next(task))
        except TaskCancelledError:
            message = None
        except RayError as error:
            message = node.Failed(f"{error}\n")
        if isinstance(message, node.Started):
            self.running.add(name)
            return False
        del self.tasks[task]
        self.running.discard(name)
        if isinstance(message, node.Finished):
            if all(key.removesuffix(".dir") == md5(it) for key, it in message.outputs.items()):
                self.import_commit(name, message)
                return True
            message = node.Failed("the node has returned damaged outputs\n")
        if isinstance(message, node.Unfit):
            self.exclude_node(message)
            self.returned.append(name)
        if isinstance(message, node.Failed):
            self.failed.add(name)
            write(log(name), message.log)
        return False

    def import_commit(self, name: str, finished: node.Finished) -> None:
        """Give DVC an experiment as if it had run here."""
        for checksum, contents in finished.outputs.items():
            self.cache_output(checksum, contents)
        with TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            bundle.write_bytes(finished.bundle)
            self.collector.fetch(bundle, name)

    def cache_output(self, checksum: str, contents: bytes) -> None:
        """Put a file into DVC's cache, under its MD5."""
        path = self.cache / "files/md5" / checksum[:2] / checksum[2:]
        if not path.exists():
            write(path, contents)
            path.chmod(0o444)  # as DVC does

    def exclude_node(self, message: node.Unfit) -> None:
        """Give a node no more experiments, and print the reason once."""
        addresses = {each["NodeID"]: each["NodeManagerAddress"] for each in ray.nodes()}
        if message.node not in self.excluded and message.node in addresses:
            print(
                f"excluding node {message.node[:8]} ({addresses[message.node]}): {message.reason}",
                flush=True,
            )
        self.excluded.add(message.node)

    def check_capacity(self) -> None:
        """Raise UserError if no node is left for a queued run, which would wait forever."""
        for gpu in {needs_gpu(self.collector.runs[name]) for name in self.tasks.values()}:
            if not self.has_capacity(gpu):
                with_gpu = " on a GPU" if gpu else ""
                raise UserError(
                    f"no node is left that can run experiments{with_gpu}; repair one, and rerun"
                    " `make experiments`"
                )

    def has_capacity(self, gpu: bool) -> bool:
        """Return True if a node that is not excluded has the resources of a run."""
        required = resources(gpu)
        return any(
            all(each["Resources"].get(key, 0) >= amount for key, amount in required.items())
            for each in ray.nodes()
            if each["Alive"] and each["NodeID"] not in self.excluded
        )

    def stop(self) -> None:
        """Cancel all experiments, and wait until the nodes have removed their files."""
        tasks = list(self.tasks)
        for task in reversed(tasks):  # queued ones before running ones, whose place they would take
            ray.cancel(task)
        ends = {task.completed(): task for task in tasks}
        ended, _ = ray.wait(list(ends), num_returns=len(ends), timeout=STOP_TIMEOUT)
        for end in ended:
            while ends[end] in self.tasks:  # some have just finished
                self.handle_message(ends[end])


def package_study(revision: str) -> node.Study:
    """Return what all experiments on a commit need. Raises UserError in a shallow clone."""
    if git.call("rev-parse", "--is-shallow-repository").strip() == "true":
        raise UserError("nodes need the history of this shallow clone; run `git fetch --unshallow`")
    return node.Study(
        revision,
        workspace.prefix(),
        git.identity(),
        required_versions(),
        ray.put(git.output("bundle", "create", "--quiet", "-", "HEAD")),
        {name: ray.put((paths.MNIST / name).read_bytes()) for name in raw.SHA256},
        hashlib.sha256("".join(raw.SHA256.values()).encode()).hexdigest()[:12],
    )


def required_versions() -> dict[str, str]:
    """Return the versions here of what must be the same on every node.

    These are the processor's architecture, DVC, and the packages of a stage, under the names of
    their distributions: `PyYAML` for `yaml`.
    """
    distributions = packages_distributions()
    needed = (distributions[name][0] for name in NEEDED)
    return {name: node.installed_version(name) for name in ("processor", *needed)}


def resources(gpu: bool) -> dict[str, int]:
    """Return the resources of a node that a run takes, by Ray's names; memory in bytes."""
    return {"CPU": 1, "GPU": int(gpu), "memory": MEMORY_OF_A_TRAINING}


def needs_gpu(run: Run) -> bool:
    """Return True if a run needs a GPU."""
    return run.recipe.device == "cuda"


def check_gpus(runs: Iterable[Run]) -> None:
    """Raise UserError if a run needs a GPU and no node has one: it would wait forever."""
    if any(needs_gpu(run) for run in runs) and not ray.cluster_resources().get("GPU"):
        raise UserError("train.device must be cpu if no node of the cluster has a GPU, got cuda")
