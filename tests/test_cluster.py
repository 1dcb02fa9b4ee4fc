"""`make experiments RAY=…`: what refuses, what tidies up, and all of it on a real cluster."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from operator import length_hint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from benchmarks import nodes  # before Ray: it sees to it that Ray listens on loopback alone

import ray  # isort: skip
from ray.cluster_utils import Cluster as Raylets  # isort: skip

from experiments import __main__ as program
from experiments import cluster, node
from stages import paths
from study.base.errors import UserError
from study.evidence.configurations import Run
from tests.checkout import ROOT, Checkout
from tests.test_many_runs import PLAIN, RUNS, SHORT, at_work, make_experiments, reference, rows
from tests.test_pipeline import SMALL

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "nowhere",
            "RAY = nowhere: give auto for the cluster that this machine is in, or its head",
        ),
        ("ray://head:10001", "RAY = ray://head:10001: give auto"),
        ("head:port", "RAY = head:port: give auto"),
        ("head..local:6379", r"RAY = head\.\.local:6379: .*; `ray start --head` on the head says"),
        ("127.0.0.1:99999", "RAY = 127.0.0.1:99999: .*; `ray start --head` on the head says"),
    ],
)
def test_addresses_that_are_none(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cluster.checked(address)


def test_an_address_where_nobody_listens() -> None:
    (port,) = nodes.free_ports(1)
    with pytest.raises(UserError, match=f"RAY = localhost:{port}: .*refused; `ray start --head`"):
        cluster.checked(f"localhost:{port}")


def test_an_address_that_somebody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert cluster.checked(address) == address


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="RAY = auto: Ray is not there; `pip install -r req"):
        program.cluster("auto")


# On a node


def said(study: Any) -> list[Any]:
    """What a node says of an experiment of a study."""
    return list(node.perform(study, "refs/exps/5f/3a/name", ["exp", "run"], []))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> node.Study:
    """Of which a node has nothing yet, and cannot get anything."""
    context = SimpleNamespace(get_node_id=lambda: "a node")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    unreachable: Any = None
    return node.Study("5f3a", {}, cluster.versions(), unreachable, {}, "raw")


@pytest.mark.fault(
    "on a Ray cluster: a node has another version of a package",
    "it is named with both versions, and gets no experiments",
)
@pytest.mark.parametrize("name", ["torch", "numpy", "dvc", "processor"])
def test_another_version_is_refused(study: node.Study, name: str) -> None:
    other = study._replace(versions={**study.versions, name: "0.1"})
    reason = f"{name} {study.versions[name]} there, 0.1 here"
    assert said(other) == [node.Begun(), node.Unfit("a node", reason)]


def test_a_package_that_is_not_there_is_refused(
    study: node.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(node, "version", version)
    reason = f"dvc none there, {study.versions['dvc']} here"
    assert said(study) == [node.Begun(), node.Unfit("a node", reason)]


def test_a_full_disk_is_refused_before_anything_is_fetched(
    study: node.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 5 * 2**20))
    home = tmp_path / f"mnist-study-{os.getuid()}"
    (home / "experiment-killed").mkdir(parents=True)  # may be what fills it
    reason = f"{home}: 5 MiB free there, an experiment may need 256"
    assert said(study) == [node.Begun(), node.Unfit("a node", reason)]
    assert list(home.iterdir()) == [home / "lock"]


def test_a_folder_that_somebody_else_has_put_there_is_refused(
    study: node.Study, tmp_path: Path
) -> None:
    home = tmp_path / f"mnist-study-{os.getuid()}"
    home.symlink_to(tmp_path)
    reason = f"{home}: somebody else's, who could put programs there"
    assert said(study) == [node.Begun(), node.Unfit("a node", reason)]


def test_a_node_without_git_is_refused(study: node.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "keep", lambda *_: None)
    monkeypatch.setenv("PATH", "")
    assert said(study) == [node.Begun(), node.Unfit("a node", "git: No such file or directory")]


def test_other_versions_have_a_cache_of_their_own(study: node.Study, tmp_path: Path) -> None:
    """DVC restores what it has run before, and does not ask with which packages."""
    upgraded = study._replace(versions={**study.versions, "torch": "99"})
    again = study._replace(versions=dict(sorted(study.versions.items())))
    mine, theirs, same = (node.cache_of(each, tmp_path) for each in (study, upgraded, again))
    assert mine == same != theirs


def test_what_killed_workers_left_behind_is_removed(tmp_path: Path) -> None:
    alive, dead = tmp_path / "experiment-alive", tmp_path / "experiment-dead"
    for folder in (alive, dead):
        (folder / "clone").mkdir(parents=True)
    with node.locked(alive / "lock"):
        node.sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [alive]


@pytest.mark.parametrize("children_first", [False, True])
def test_what_a_killed_worker_has_started_ends(tmp_path: Path, children_first: bool) -> None:
    """Down to the training. A worker whose node is lost kills its own children first."""
    said = tmp_path / "pid"
    training = f"sleep 600 & echo $! >{said}.new; mv {said}.new {said}; wait"
    code = f"""
from pathlib import Path
from experiments import node
node.guarded(["sh", "-c", {training!r}], Path(), {{}}, Path({str(tmp_path / "log")!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as worker:
        while not said.exists():
            assert worker.poll() is None
            time.sleep(0.05)
        process = psutil.Process(int(said.read_text()))
        assert process.is_running()
        for child in psutil.Process(worker.pid).children() if children_first else []:
            child.kill()
        worker.kill()
    process.wait(timeout=60)


def test_a_command_s_status_and_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "pwd; echo $NAME >&2; exit 3"]
    status, words = node.guarded(command, tmp_path, {"NAME": "value"}, tmp_path / "log")
    assert (status, words) == (3, f"{tmp_path}\nvalue\n")


def test_a_disk_that_is_full_in_the_end(study: node.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails then may have failed for that: another node is to try."""
    free = iter([2**40, 5 * 2**20])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, next(free)))
    monkeypatch.setattr(node, "fetch_source", lambda *_: "source")
    monkeypatch.setattr(node, "git", lambda *_: None)
    monkeypatch.setattr(node, "guarded", lambda *_: (1, "No space left on device"))
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: None)
    _, unfit = said(study)
    assert unfit.reason.endswith("5 MiB free there, an experiment may need 256")


# On the driver


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> cluster.Cluster:
    """With nodes a, which has a GPU, and b, a head without cores, and one with little memory."""
    driver = object.__new__(cluster.Cluster)
    driver.results = SimpleNamespace(runs=RUNS)  # type: ignore[assignment]
    driver.unfit, driver.tasks = set(), {"task": PLAIN}
    room = {"CPU": 1, "memory": 2e9}
    there = [
        {
            "NodeID": name,
            "Alive": True,
            "NodeManagerAddress": "10.0.0.1",
            "Resources": resources,
        }
        for name, resources in (
            ("head", {"memory": 2e9}),
            ("little", {"CPU": 1, "GPU": 1, "memory": 1e9}),
            ("a", room | {"GPU": 1}),
            ("b", room),
        )
    ]
    monkeypatch.setattr(ray, "nodes", lambda: there)
    return driver


def test_nodes_that_are_unfit(driver: cluster.Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    driver.refuse(node.Unfit("a", "no room"))
    driver.refuse(node.Unfit("a", "no room"))
    assert capsys.readouterr().out == "node a at 10.0.0.1 gets no experiments: no room\n"
    driver.check_places()
    driver.refuse(node.Unfit("b", "no room"))
    with pytest.raises(UserError, match="no node is left that can run experiments; mend one"):
        driver.check_places()


@pytest.fixture
def on_gpu() -> Run:
    run = RUNS[PLAIN]
    return replace(run, recipe=run.recipe.model_copy(update={"device": "cuda"}))


def test_the_last_node_with_a_gpu_is_unfit(driver: cluster.Cluster, on_gpu: Run) -> None:
    """Others cannot run it: it would wait for ever."""
    driver.results.runs = {PLAIN: on_gpu}
    driver.refuse(node.Unfit("b", "no room"))
    driver.check_places()
    driver.refuse(node.Unfit("a", "no room"))
    with pytest.raises(UserError, match="no node is left that can run experiments on a GPU; mend"):
        driver.check_places()


def test_one_refusal_costs_nothing_that_is_finished(
    driver: cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last node refuses one experiment while another ends there: that is taken in first."""
    finished = node.Finished(b"", {})
    driver.tasks = {
        iter([node.Begun(), node.Unfit("b", "no room")]): SHORT,
        iter([node.Begun(), node.Begun(), finished]): PLAIN,
    }
    driver.running, driver.refused = set(), []
    driver.unfit = {"a"}
    driver.results.update = lambda: [SHORT]  # type: ignore[method-assign]
    kept: list[object] = []
    monkeypatch.setattr(ray, "wait", lambda tasks, **_: ([*filter(length_hint, tasks)], []))
    monkeypatch.setattr(ray, "get", lambda said: said)
    monkeypatch.setattr(driver, "keep", lambda name, said: kept.append((name, said)))
    monkeypatch.setattr(driver, "submit", lambda name: driver.tasks.update({iter(()): name}))
    driver.failed = set()
    nobody: Any = SimpleNamespace(received=None)
    with pytest.raises(UserError, match="no node is left"):
        driver.watch([SHORT, PLAIN], nobody)
    assert kept == [(PLAIN, finished)]


class Refusal:
    """A task that node b sends back."""

    def __next__(self) -> node.Unfit:
        return node.Unfit("b", "no room")

    def completed(self) -> str:
        return "its end"


def test_a_node_that_refuses_while_all_is_stopped(
    driver: cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is to run again what it sends back."""
    driver.tasks, driver.running, driver.refused = {Refusal(): PLAIN}, set(), []
    monkeypatch.setattr(ray, "cancel", lambda _: None)
    monkeypatch.setattr(ray, "wait", lambda ends, **_: (ends, []))
    monkeypatch.setattr(ray, "get", lambda said: said)
    driver.stop()
    assert driver.tasks == {}


def test_ray_beside_dvc_s_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would run the same."""
    monkeypatch.chdir(tmp_path)
    nothing: Any = None
    command = [sys.executable, "-c", "input()", "queue-worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        with pytest.raises(UserError, match="RAY = auto: DVC's queue runs experiments already"):
            cluster.work("auto", nothing, [], nothing)
        worker.kill()


def test_a_gpu_that_is_not_there(on_gpu: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS[PLAIN]
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    cluster.check_gpus([run])
    with pytest.raises(UserError, match=r"train\.device = cuda: no node of the cluster has a GPU"):
        cluster.check_gpus([run, on_gpu])


# On a real cluster, through real DVC

EXPERIMENTS = """\
seeds: [{seeds}]
experiments:
  - id: fine
    model: model_3
    description: Model 3 as it is
"""
BROKEN = """\
  - id: broken
    model: model_1
    description: a network that cannot be built
    set: {train.dropout: 0.5}
    seeds: [1]
"""


class Study:
    """A study of few images, on a cluster of two nodes with one core each."""

    def __init__(self, folder: Path, checkout: Checkout, cluster: Raylets) -> None:
        self.nodes = folder / "nodes"
        self.checkout = checkout
        self.cluster = cluster
        self.trained, self.go = folder / "trained", folder / "go"
        self.go.mkdir()
        self.members = {name: self.add(name) for name in ("first", "second")}

    def add(self, name: str) -> Any:
        """Add a node with a folder of its own, as a shell starts it in its background."""
        (self.nodes / name).mkdir(parents=True, exist_ok=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return nodes.add(self.cluster, 1, self.nodes / name)
        finally:
            signal.signal(signal.SIGINT, before)

    def ask(self, seeds: str, more: str = "") -> None:
        """Ask for experiments that have not been there yet."""
        (self.checkout.root / paths.EXPERIMENTS).write_text(
            EXPERIMENTS.format(seeds=seeds) + more, encoding="utf-8"
        )
        self.checkout.commit(f"Seeds {seeds}")

    def make(self) -> AbstractContextManager["subprocess.Popen[str]"]:
        """`make experiments` on the cluster."""
        return make_experiments(self.checkout, f"RAY={self.cluster.address}")

    def finish(self) -> str:
        """`make experiments` on the cluster, until it ends by itself; return what it wrote."""
        with self.make() as make:
            text, _ = make.communicate()
        assert "Traceback" not in text
        return text

    def training(self, seed: int) -> psutil.Process:
        """The training of a seed, as soon as there is one."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for process in at_work(self.nodes):
                with suppress(psutil.Error):
                    if f"stages.train model_3 --seed {seed} " in " ".join(process.cmdline()):
                        return process
            time.sleep(0.1)
        raise TimeoutError(f"seed {seed} is not trained")

    def worker(self, training: psutil.Process) -> psutil.Process:
        """Ray's process that has started a training."""
        inner = {process.pid for process in at_work(self.nodes)}
        return next(process for process in training.parents() if process.pid not in inner)

    def times(self, seed: int) -> int:
        """How often a seed has been trained."""
        return self.trained.read_text("utf-8").splitlines().count(f"model_3 {seed}")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("cluster")
    checkout = Checkout.create(folder, mnist_folder)
    checkout.set(SMALL)
    (checkout.root / paths.LEDGER).unlink()
    checkout.edit(
        "models/model_1.py",
        "    return nn.Sequential(",
        '    if dropout == 0.5:\n        raise ValueError("broken")\n    return nn.Sequential(',
    )
    # Who has been trained is written down, and from the tenth on, seeds wait until they may.
    checkout.edit(
        "stages/train.py",
        "    write(paths.weights(model)",
        f"""\
    import pathlib, time
    while recipe.seed >= 10 and not pathlib.Path({str(folder / "go")!r}, str(recipe.seed)).exists():
        time.sleep(0.1)
    with open({str(folder / "trained")!r}, "a") as file:
        print(model, recipe.seed, file=file)
    write(paths.weights(model)""",
    )
    checkout.commit("Small")
    with pytest.MonkeyPatch.context() as patch:
        # The nodes are to know nothing of this user's configuration, either.
        for key, value in checkout.environment.items():
            patch.setenv(key, value)
        with nodes.cluster() as cluster:
            yield Study(folder, checkout, cluster)


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: an experiment fails for its own reasons",
    "it is listed with the place of its log; the others go on",
)
def test_the_same_as_the_local_queue(real: Study, tmp_path: Path) -> None:
    real.ask("1, 2", BROKEN)
    text = real.finish()
    (line,) = re.findall("^failed: .*$", text, re.MULTILINE)
    log = ".dvc/tmp/experiments/broken-seed-1.log"
    assert line == f"failed: broken-seed-1, a network that cannot be built: {log} says why"
    assert "ValueError: broken" in (real.checkout.root / log).read_text("utf-8")
    assert "2 of 3 done, 0 running, 0 queued, 1 failed" in text

    local = Checkout(tmp_path / "local", real.checkout.environment)
    real.checkout.run("git", "clone", "--quiet", str(real.checkout.root), str(local.root))
    for key, value in (("user.name", "A user"), ("user.email", "user@example.org")):
        local.run("git", "config", key, value)
    with make_experiments(local) as make:
        make.communicate()
    assert rows(real.checkout) == rows(local)
    assert [row.name for row in rows(local)] == ["fine-seed-1", "fine-seed-2"]
    for name in ("fine-seed-1", "fine-seed-2"):
        trees = {
            checkout.run("git", "rev-parse", f"{reference(checkout, name)}^{{tree}}")
            for checkout in (real.checkout, local)
        }
        assert len(trees) == 1

    # The raw data have come to each node once, and DVC has kept them once.
    large = [path for path in real.nodes.rglob("*") if path.stat().st_size > 40 * 2**20]
    assert sorted(path.relative_to(real.nodes).parts[0] for path in large) == [
        "first",
        "first",
        "second",
        "second",
    ]
    assert [*real.nodes.glob("*/*/experiment-*")] == []

    # DVC knows it as if it had run here.
    checkout = real.checkout
    assert "fine-seed-2" in checkout.run("dvc", "exp", "show", "--csv")
    difference = checkout.run("dvc", "metrics", "diff", "fine-seed-1", "fine-seed-2", "--md")
    first, second = (float(row.metrics["loss"]) for row in rows(checkout))
    assert re.search(rf"model_3.json \| loss +\| {first} +\| {second} ", difference)
    # What other models would need has run nowhere.
    applied = [
        sorted(each.attempt("dvc", "exp", "apply", "fine-seed-2")[1].splitlines())
        for each in (checkout, local)
    ]
    assert applied[0] == applied[1]
    assert (checkout.root / paths.weights("model_3")).exists()
    assert checkout.run("dvc", "status", "evaluate@model_3").endswith("up to date.\n")
    checkout.restore()


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a worker process is killed",
    "what it had started ends with it; Ray runs the experiment again",
)
def test_a_worker_is_killed(real: Study) -> None:
    real.ask("3, 10")
    with real.make() as make:
        training = real.training(10)
        real.worker(training).kill()
        training.wait(60)
        (real.go / "10").touch()
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert [row.recipe.seed for row in rows(real.checkout)] == [3, 10]
    assert [real.times(seed) for seed in (3, 10)] == [1, 1]


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a node is killed",
    "its experiments run again on other nodes, or as soon as there is one",
)
def test_a_node_is_killed(real: Study) -> None:
    real.ask("4, 11")
    with real.make() as make:
        training = real.training(11)
        (name,) = Path(training.cwd()).relative_to(real.nodes).parts[:1]
        real.cluster.remove_node(real.members.pop(name), allow_graceful=False)
        training.wait(60)
        (real.go / "11").touch()
        text, _ = make.communicate()
    real.members[name] = real.add(name)
    assert make.returncode == 0, text
    assert [row.recipe.seed for row in rows(real.checkout)] == [4, 11]
    assert [real.times(seed) for seed in (4, 11)] == [1, 1]


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: Ctrl-C, and the driver killed and started again",
    "nodes end what ran and remove what it left; what was collected is not run again",
)
def test_the_driver_is_stopped_and_killed_and_started_again(real: Study) -> None:
    real.ask("5, 12")
    with real.make() as make:
        assert make.stdout is not None
        text = ""
        for line in make.stdout:
            text += line
            if "1 of 2 done, 1 running, 0 queued" in line:
                # Of the terminal's group, as Ctrl-C is.
                os.killpg(make.pid, signal.SIGINT)
    assert make.returncode != 0
    assert "stopped; 1 of 2 to go: `make experiments` goes on" in text
    assert "Traceback" not in text
    assert psutil.wait_procs(at_work(real.nodes), 60)[1] == []
    assert [*real.nodes.glob("*/*/experiment-*")] == []

    with real.make() as make:
        training = real.training(12)
        os.killpg(make.pid, signal.SIGKILL)
    training.wait(60)
    assert [row.recipe.seed for row in rows(real.checkout)] == [5]
    # A training that ran again could be one of which DVC's cache knows the results.
    commit = reference(real.checkout, "fine-seed-5")

    (real.go / "12").touch()
    assert "2 of 2 done, 0 running, 0 queued, 0 failed" in real.finish()
    assert [row.recipe.seed for row in rows(real.checkout)] == [5, 12]
    assert [real.times(seed) for seed in (5, 12)] == [1, 1]
    assert commit == reference(real.checkout, "fine-seed-5")


@pytest.mark.slow
@pytest.mark.fault(
    "on a Ray cluster: a node's disk is full",
    "it is named with the room it has, and gets no more; others run its experiments",
)
def test_a_node_has_a_full_disk(real: Study) -> None:
    full = real.nodes / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(full)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nobody but root can mount a small disk")
    try:
        for name in ("first", "second"):
            real.cluster.remove_node(real.members.pop(name))
        member = real.add("full")
        real.ask("6, 7")
        with real.make() as make:
            assert make.stdout is not None
            text = "".join(iter(make.stdout.readline, ""))
        assert make.returncode != 0
        assert "error: no node is left that can run experiments" in text

        real.members["first"] = real.add("first")
        text = real.finish()
        assert re.search(
            r"(?m)^node \w+ at 127\.0\.0\.1 gets no experiments: \S+: \d MiB free there", text
        )
        assert [row.recipe.seed for row in rows(real.checkout)] == [6, 7]
        real.cluster.remove_node(member)
    finally:
        subprocess.run(["umount", "--lazy", str(full)], check=True)
