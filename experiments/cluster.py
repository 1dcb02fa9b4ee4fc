"""Experiments on a Ray cluster: Ray places them, carries what they need, and tries again."""

import hashlib
import logging
import re
import socket
from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.exceptions import RayError, TaskCancelledError

from experiments import git, node, queue
from experiments.progress import Progress
from experiments.results import Results
from experiments.signals import Signals
from stages import NEEDED, paths
from study.base.errors import UserError, quote
from study.base.files import write
from study.data import mnist
from study.evidence.configurations import Run

LOGS = Path(".dvc/tmp/experiments")
POLL = 1  # seconds between two looks at the cluster
PATIENCE = 60  # seconds that nodes have to end what they run
RETRIES = 5  # of an experiment whose worker or node is lost
MEMORY = 1_200_000_000  # bytes that an experiment takes


def checked(address: str) -> str:
    """Return the address of a cluster. Raises UserError when nobody can be there, or is."""
    if address == "auto":
        return address
    found = re.fullmatch(r"([\w.-]+):(\d{1,5})", address)
    if found is None:
        raise UserError(
            f"RAY = {quote(address)}: give auto for the cluster that this machine is in, or its"
            " head's host:port"
        )
    try:
        socket.create_connection((found[1], int(found[2])), timeout=10).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(
            f"RAY = {address}: {error}; `ray start --head` on the head says what its address is"
        ) from None
    return address


def why(name: str) -> str:
    """Where it stands why a run failed."""
    return f"{log(name)} says why"


def log(name: str) -> Path:
    """Return the place for what a failed experiment said."""
    return LOGS / f"{name}.log"


def work(address: str, results: Results, left: list[str], signals: Signals) -> None:
    """Run what is left, as much at once as there is room for. Raises UserError."""
    if queue.workers():
        raise UserError(
            f"RAY = {address}: DVC's queue runs experiments already, maybe the same; let it end, or"
            " `dvc queue stop --kill`"
        )
    connect(address)
    signals.keep()  # Ray has asked for some of them
    try:
        cluster = Cluster(results)
        try:
            cluster.watch(left, signals)
        finally:
            if cluster.tasks:
                print("stopping", flush=True)
                cluster.stop()
    finally:
        # Ray ends what still runs for this program.
        ray.shutdown()


def connect(address: str) -> None:
    """Become a part of the cluster. Raises UserError."""
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"RAY = {address}: {line}; `ray start` makes this machine one of a cluster's"
        ) from None


class Cluster:
    """The experiments that are on their way."""

    def __init__(self, results: Results) -> None:
        """Bring what all of them need to where the nodes find it."""
        self.results = results
        self.cache = Path(queue.call("cache", "dir").splitlines()[-1])
        self.study = ray.put(study(results.revision))
        for name in mnist.SHA256:
            # DVC is to have them from now on, as if a stage had fetched them here.
            contents = (paths.MNIST / name).read_bytes()
            self.store(hashlib.md5(contents, usedforsecurity=False).hexdigest(), contents)
        self.tasks: dict[Any, str] = {}
        """Each run by what Ray has of it: a generator of what the node says."""
        self.running: set[str] = set()
        self.failed: set[str] = set()
        self.unfit: set[str] = set()
        """Nodes, by id, that cannot run any."""
        self.refused: list[str] = []
        """Runs that such a node has sent back."""
        # By value: the nodes have no checkout of this project.
        ray.cloudpickle.register_pickle_by_value(node)
        self.perform = ray.remote(max_retries=RETRIES)(node.perform)

    def watch(self, left: list[str], signals: Signals) -> None:
        """Run experiments, show progress and write the ledger, until nothing waits or runs."""
        runs = self.results.runs
        check_gpus(runs[name] for name in left)
        if not any(map(self.place, {on_gpu(runs[name]) for name in left})):
            print(
                f"waiting for a node with a core and {MEMORY / 1e9} GB of memory that are Ray's",
                flush=True,
            )
        progress = Progress(runs, left)
        for name in left:
            self.submit(name)
        while signals.received is None:
            queued = set(self.tasks.values()) - self.running
            progress.show(len(runs) - len(left), self.running, queued, len(self.failed))
            if not self.tasks:
                return
            tasks = list(self.tasks)
            ready, _ = ray.wait(tasks, num_returns=len(tasks), timeout=POLL)
            finished = [self.hear(task) for task in ready]
            if any(finished):
                left = self.results.update()
            while self.refused:
                self.submit(self.refused.pop())
            if self.unfit and not self.running:
                self.check_places()

    def submit(self, name: str) -> None:
        """Have Ray run an experiment, on any node that is not known to be unfit."""
        run = self.results.runs[name]
        elsewhere = {"ray.io/node-id": f"!in({','.join(self.unfit)})"} if self.unfit else None
        stages = ["validate", "download", f"train@{run.model}", f"evaluate@{run.model}"]
        needed = needs(on_gpu(run))
        task = self.perform.options(
            num_cpus=needed["CPU"],
            num_gpus=needed["GPU"],
            memory=needed["memory"],
            label_selector=elsewhere,
        ).remote(self.study, self.results.ref(name), queue.experiment(run), stages)
        self.tasks[task] = name

    def hear(self, task: Any) -> bool:
        """Take what a node says of an experiment; return whether it is finished."""
        name = self.tasks[task]
        said: object
        try:
            said = ray.get(next(task))
        except TaskCancelledError:
            said = None
        except RayError as error:
            said = node.Failed(f"{error}\n")
        if isinstance(said, node.Begun):
            self.running.add(name)
            return False
        del self.tasks[task]
        self.running.discard(name)
        if isinstance(said, node.Finished):
            self.keep(name, said)
            return True
        if isinstance(said, node.Unfit):
            self.refuse(said)
            self.refused.append(name)
        if isinstance(said, node.Failed):
            self.failed.add(name)
            write(log(name), said.log)
        return False

    def keep(self, name: str, finished: node.Finished) -> None:
        """Make DVC know an experiment as if it had run here."""
        for md5, contents in finished.outputs.items():
            self.store(md5, contents)
        # The commit comes last: where it is, all of the experiment is.
        with TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            bundle.write_bytes(finished.bundle)
            ref = self.results.ref(name)
            git.call("fetch", "--quiet", str(bundle), f"+{ref}:{ref}")

    def store(self, md5: str, contents: bytes) -> None:
        """Put a file where DVC's cache has it."""
        place = self.cache / "files/md5" / md5[:2] / md5[2:]
        if not place.exists():
            write(place, contents)
            place.chmod(0o444)  # as DVC does

    def refuse(self, said: node.Unfit) -> None:
        """Give a node no more experiments, and say so once."""
        nodes = {each["NodeID"]: each["NodeManagerAddress"] for each in ray.nodes()}
        if said.node not in self.unfit and said.node in nodes:
            print(
                f"node {said.node[:8]} at {nodes[said.node]} gets no experiments: {said.reason}",
                flush=True,
            )
        self.unfit.add(said.node)

    def check_places(self) -> None:
        """Raise UserError when a run waits for a node of which none is left: for ever."""
        for gpu in {on_gpu(self.results.runs[name]) for name in self.tasks.values()}:
            if not self.place(gpu):
                with_gpu = " on a GPU" if gpu else ""
                raise UserError(
                    f"no node is left that can run experiments{with_gpu}; mend one, and run again"
                )

    def place(self, gpu: bool) -> bool:
        """Whether there is a node, not known to be unfit, with what a run needs."""
        needed = needs(gpu)
        return any(
            all(each["Resources"].get(key, 0) >= amount for key, amount in needed.items())
            for each in ray.nodes()
            if each["Alive"] and each["NodeID"] not in self.unfit
        )

    def stop(self) -> None:
        """End what runs, and see to it that the nodes have tidied up."""
        tasks = list(self.tasks)
        for task in reversed(tasks):  # those that wait before those that run, whose place they take
            ray.cancel(task)
        ends = {task.completed(): task for task in tasks}
        if ends:
            ended, _ = ray.wait(list(ends), num_returns=len(ends), timeout=PATIENCE)
            for end in ended:
                while ends[end] in self.tasks:  # some have just come to their end
                    self.hear(ends[end])


def study(revision: str) -> node.Study:
    """Put together what the experiments on a commit have in common. Raises UserError."""
    if git.call("rev-parse", "--is-shallow-repository").strip() == "true":
        raise UserError("this clone is shallow: `git fetch --unshallow` gets what nodes need")
    return node.Study(
        revision,
        identity(),
        versions(),
        ray.put(git.output("bundle", "create", "--quiet", "-", "HEAD")),
        {name: ray.put((paths.MNIST / name).read_bytes()) for name in mnist.SHA256},
        hashlib.sha256("".join(mnist.SHA256.values()).encode()).hexdigest()[:12],
    )


def versions() -> dict[str, str]:
    """Return what is here of all that is to be the same on every node.

    That is the processor and what a stage and DVC need, by the names that versions go by: `PyYAML`
    for `yaml`.
    """
    distributions = packages_distributions()
    needed = (distributions[name][0] for name in NEEDED)
    return {name: node.have(name) for name in ("processor", "dvc", *needed)}


def needs(gpu: bool) -> dict[str, int]:
    """Return what a run takes of a node, by Ray's names; memory in bytes."""
    return {"CPU": 1, "GPU": int(gpu), "memory": MEMORY}


def on_gpu(run: Run) -> bool:
    """Whether a run needs a GPU."""
    return run.recipe.device == "cuda"


def check_gpus(runs: Iterable[Run]) -> None:
    """Raise UserError when a run is to be on a GPU and no node has one: it would wait for ever."""
    if any(on_gpu(run) for run in runs) and not ray.cluster_resources().get("GPU"):
        raise UserError("train.device = cuda: no node of the cluster has a GPU; give cpu")


def identity() -> Mapping[str, str]:
    """Return who makes commits here, as far as Git has been told."""
    lines = git.call("config", "--list").splitlines()
    configured = dict(line.partition("=")[::2] for line in lines)
    return {key: configured[key] for key in ("user.name", "user.email") if key in configured}
