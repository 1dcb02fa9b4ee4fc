"""What a node refuses and cleans up, and what the driver does about it, without a cluster."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from operator import length_hint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import psutil
import pytest

from benchmarks.scaling import local_cluster  # before Ray, which then listens only on loopback

import ray  # isort: skip
from ray.exceptions import RayError  # isort: skip

from experiments import git
from experiments.cluster import driver, node
from experiments.cluster.driver import Cluster
from experiments.folder import log
from study.base.errors import UserError
from study.base.files import write
from study.evidence.configurations import Run
from tests.checkout import ROOT
from tests.errors import message_of
from tests.experiments.examples import DEFAULT, RUNS, SHORT, commit

Usage = namedtuple("Usage", "total used free")


def address_error(address: str) -> str:
    """Return the error for an address."""
    return message_of(lambda: driver.check_address(address))


@pytest.mark.parametrize("address", ["nowhere", "ray://head:10001", "head:port"])
def test_malformed_address_is_refused(address: str) -> None:
    message = address_error(address)
    assert all(part in message for part in ("RAY", "`auto`", "host:port", address))


@pytest.mark.parametrize("address", ["head..local:6379", "127.0.0.1:99999", "localhost:{free}"])
def test_address_on_which_nothing_listens_is_refused(address: str) -> None:
    (port,) = local_cluster.free_ports(1)
    address = address.format(free=port)
    message = address_error(address)
    assert address in message
    assert "`ray start --head`" in message


def test_address_on_which_something_listens_is_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert driver.check_address(address) == address


# On a node


def messages(study: Any) -> list[Any]:
    """Return the messages of a node that runs an experiment of a study."""
    return list(node.run_experiment(study, "refs/exps/5f/3a/name", ["exp", "run"], []))


def refusal(study: Any) -> str:
    """Return the reason why a node does not run an experiment of a study."""
    started, unfit = messages(study)
    assert started == node.Started()
    assert isinstance(unfit, node.Unfit)
    assert unfit.node == "a node"
    return unfit.reason


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of experiments on a node."""
    return tmp_path / f"mnist-study-{os.getuid()}"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> node.Study:
    """A study that a node has not fetched yet, and cannot fetch."""
    context = SimpleNamespace(get_node_id=lambda: "a node")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    unreachable: Any = None
    return node.Study("5f3a", "", {}, driver.required_versions(), unreachable, {}, "raw")


@pytest.mark.fault(
    "on a Ray cluster: a node has another version of a package",
    "it is excluded, and both versions are printed",
)
@pytest.mark.parametrize("name", ["torch", "numpy", "dvc", "processor"])
def test_node_with_another_version_is_unfit(study: node.Study, name: str) -> None:
    other = study._replace(versions={**study.versions, name: "0.1"})
    reason = refusal(other)
    assert all(part in reason for part in (name, "0.1", study.versions[name]))


def test_node_without_a_package_is_unfit(
    study: node.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(node, "version", version)
    reason = refusal(study)
    assert all(part in reason for part in ("dvc", "none", study.versions["dvc"]))


def test_node_with_a_full_disk_is_unfit_before_it_fetches(
    study: node.Study, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 5 * 2**20))
    (home / "experiment-killed").mkdir(parents=True)  # may be what fills it
    reason = refusal(study)
    assert all(part in reason for part in (str(home), "5 MiB", "256 MiB"))
    assert list(home.iterdir()) == [home / "lock"]


def test_node_whose_disk_has_become_full_is_unfit(
    study: node.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full disk may be why the experiment failed: another node must try."""
    free = iter([2**40, 5 * 2**20])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, next(free)))
    monkeypatch.setattr(node, "fetch_source", lambda *_: "source")
    monkeypatch.setattr(node, "git", lambda *_: None)
    monkeypatch.setattr(node, "run_guarded", lambda *_: (1, "No space left on device"))
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: None)
    assert "5 MiB" in refusal(study)


def test_node_does_not_use_a_folder_that_is_a_link(study: node.Study, home: Path) -> None:
    """Another user could put programs there."""
    home.symlink_to(home.parent)
    assert refusal(study).startswith(f"{home}: owned by another user")


def test_node_without_git_is_unfit(study: node.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "write_once", lambda *_: None)
    monkeypatch.setenv("PATH", "")
    assert refusal(study).startswith("git: ")


@pytest.mark.parametrize("folder", ["", "studies/mnist/"])
def test_node_runs_the_command_in_the_folder_of_the_study(
    study: node.Study, repository: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And returns its outputs, and its commit."""
    write(repository / folder / ".dvc/config", "")
    lock = "stages: {train: {outs: [{md5: abc}, {md5: kept-by-git}]}}\n"
    write(repository / folder / "dvc.lock", lock)
    git.call("add", ".")
    revision = commit("A study")

    def run_guarded(
        command: list[str], root: Path, variables: dict[str, str], log: Path
    ) -> tuple[int, str]:
        assert command[1:] == ["-m", "dvc", "exp", "run"]
        assert root == log.parent / "clone" / folder
        assert (root / "dvc.lock").read_text("utf-8") == lock
        assert variables["MNIST_FOLDER"].endswith("mnist-raw")
        write(node.cache_folder(study, log.parent.parent) / "files/md5/ab/c", "weights")
        node.git("-C", str(root), "commit", "--quiet", "--allow-empty", "--message", "Finished")
        node.git("-C", str(root), "update-ref", "refs/exps/finished", "HEAD")
        return 0, ""

    monkeypatch.setattr(node, "run_guarded", run_guarded)
    monkeypatch.setattr(node, "fetch_source", lambda *_: repository)
    mine = study._replace(
        revision=revision, folder=folder, identity={"user.name": "A", "user.email": "a@b.c"}
    )
    *_, finished = node.run_experiment(mine, "refs/exps/finished", ["exp", "run"], ["train"])
    assert isinstance(finished, node.Finished)
    assert finished.outputs == {"abc": b"weights"}
    bundle = repository / "bundle"
    bundle.write_bytes(finished.bundle)
    git.call("fetch", "--quiet", str(bundle), "+refs/exps/finished:refs/exps/finished")
    assert git.call("log", "-1", "--format=%s", "refs/exps/finished") == "Finished\n"


def test_cache_depends_on_the_versions(study: node.Study, tmp_path: Path) -> None:
    """DVC's run cache ignores versions."""
    upgraded = study._replace(versions={**study.versions, "torch": "99"})
    reordered = study._replace(versions=dict(sorted(study.versions.items())))
    first, second, same = (
        node.cache_folder(each, tmp_path) for each in (study, upgraded, reordered)
    )
    assert first == same != second


def test_stale_folders_are_removed(tmp_path: Path) -> None:
    alive, dead = tmp_path / "experiment-alive", tmp_path / "experiment-dead"
    for folder in (alive, dead):
        (folder / "clone").mkdir(parents=True)
    with filelock.FileLock(alive / "lock"):
        node.remove_stale(tmp_path)
        assert list(tmp_path.iterdir()) == [alive]
        assert (alive / "clone").exists()


@pytest.mark.parametrize("children_first", [False, True])
def test_watchdog_ends_the_training_of_a_killed_worker(
    tmp_path: Path, children_first: bool
) -> None:
    """A worker whose node is lost kills its own children first."""
    pid = tmp_path / "pid"
    training = f"sleep 600 & echo $! >{pid}.new; mv {pid}.new {pid}; wait"
    code = f"""
from pathlib import Path
from experiments.cluster import node
node.run_guarded(["sh", "-c", {training!r}], Path(), {{}}, Path({str(tmp_path / "log")!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as worker:
        while not pid.exists():
            assert worker.poll() is None
            time.sleep(0.05)
        process = psutil.Process(int(pid.read_text()))
        assert process.is_running()
        for child in psutil.Process(worker.pid).children() if children_first else []:
            child.kill()
        worker.kill()
    process.wait(timeout=60)


def test_guarded_command_returns_status_and_output(tmp_path: Path) -> None:
    command = ["sh", "-c", "pwd; echo $NAME >&2; exit 3"]
    status, output = node.run_guarded(command, tmp_path, {"NAME": "value"}, tmp_path / "log")
    assert (status, output) == (3, f"{tmp_path}\nvalue\n")


# On the driver


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster of nodes a (with a GPU) and b, a head without cores, and one with little memory."""
    monkeypatch.chdir(tmp_path)  # the status line keeps durations there
    cluster = object.__new__(Cluster)
    cluster.collector = SimpleNamespace(runs=RUNS, selected=[*RUNS])  # type: ignore[assignment]
    cluster.tasks = {"task": DEFAULT}
    cluster.excluded, cluster.running, cluster.failed = set(), set(), set()
    cluster.returned = []
    room = {"CPU": 1, "memory": 2e9}
    nodes = {
        "head": {"memory": 2e9},
        "little": {"CPU": 1, "GPU": 1, "memory": 1e9},
        "a": room | {"GPU": 1},
        "b": room,
    }
    listed = [
        {
            "NodeID": name,
            "Alive": True,
            "NodeManagerAddress": "10.0.0.1",
            "Resources": resources,
        }
        for name, resources in nodes.items()
    ]
    monkeypatch.setattr(ray, "nodes", lambda: listed)
    return cluster


def exclude(cluster: Cluster, name: str) -> None:
    cluster.exclude_node(node.Unfit(name, "its disk is full"))


@pytest.fixture
def on_gpu() -> Run:
    run = RUNS[DEFAULT]
    return replace(run, recipe=run.recipe.model_copy(update={"device": "cuda"}))


def test_excluded_node_is_printed_once(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    exclude(cluster, "a")
    exclude(cluster, "a")
    (line,) = capsys.readouterr().out.splitlines()
    assert all(part in line for part in ("node a", "10.0.0.1", "its disk is full"))


def test_driver_fails_when_the_last_node_is_excluded(cluster: Cluster) -> None:
    exclude(cluster, "a")
    cluster.check_capacity()
    exclude(cluster, "b")
    with pytest.raises(UserError, match="no node is left"):
        cluster.check_capacity()


def test_driver_fails_when_the_last_node_with_a_gpu_is_excluded(
    cluster: Cluster, on_gpu: Run
) -> None:
    """Other nodes cannot run the experiment, which would wait forever."""
    cluster.collector.runs = {DEFAULT: on_gpu}
    exclude(cluster, "b")
    cluster.check_capacity()
    exclude(cluster, "a")
    with pytest.raises(UserError, match=r"no node is left .* GPU"):
        cluster.check_capacity()


def test_finished_runs_are_kept_when_the_last_node_is_excluded(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node refuses one experiment while another finishes there."""
    finished = node.Finished(b"", {})
    cluster.tasks = {
        iter([node.Started(), node.Unfit("b", "its disk is full")]): SHORT,
        iter([node.Started(), node.Started(), finished]): DEFAULT,
    }
    cluster.excluded = {"a"}
    cluster.collector.update = lambda: [SHORT]  # type: ignore[method-assign]
    imported: list[object] = []
    monkeypatch.setattr(ray, "wait", lambda tasks, **_: ([*filter(length_hint, tasks)], []))
    monkeypatch.setattr(ray, "get", lambda message: message)
    monkeypatch.setattr(cluster, "import_commit", lambda *given: imported.append(given))
    monkeypatch.setattr(cluster, "submit", lambda name: cluster.tasks.update({iter(()): name}))
    no_signal: Any = SimpleNamespace(received=None)
    with pytest.raises(UserError, match="no node is left"):
        cluster.watch([SHORT, DEFAULT], no_signal)
    assert imported == [(DEFAULT, finished)]


class LostTask:
    """A task that Ray has given up."""

    def __next__(self) -> None:
        raise RayError("the worker has died")


def test_experiment_that_ray_gives_up_is_a_failed_one(cluster: Cluster) -> None:
    task = LostTask()
    cluster.tasks = {task: DEFAULT}
    assert not cluster.handle_message(task)
    assert cluster.tasks == {}
    assert cluster.failed == {DEFAULT}
    assert "the worker has died" in log(DEFAULT).read_text("utf-8")


def test_experiment_with_a_damaged_output_is_a_failed_one(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[object] = []
    monkeypatch.setattr(ray, "get", lambda message: message)
    monkeypatch.setattr(cluster, "import_commit", lambda *given: imported.append(given))
    task = iter([node.Finished(b"", {driver.md5(b"intact"): b"damaged"})])
    cluster.tasks = {task: DEFAULT}
    assert not cluster.handle_message(task)
    assert (cluster.failed, imported) == ({DEFAULT}, [])


class RefusedTask:
    """A task that node b refuses."""

    def __next__(self) -> node.Unfit:
        return node.Unfit("b", "its disk is full")

    def completed(self) -> str:
        return "its end"


def test_stopping_driver_does_not_resubmit_refused_runs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.tasks = {RefusedTask(): DEFAULT}
    monkeypatch.setattr(ray, "cancel", lambda _: None)
    monkeypatch.setattr(ray, "wait", lambda ends, **_: (ends, []))
    monkeypatch.setattr(ray, "get", lambda message: message)
    cluster.stop()
    assert cluster.tasks == {}


def test_run_on_a_gpu_needs_a_node_with_one(on_gpu: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS[DEFAULT]
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    driver.check_gpus([run])
    with pytest.raises(UserError, match=r"train\.device must be cpu"):
        driver.check_gpus([run, on_gpu])


@pytest.mark.parametrize("folder", ["", "studies/mnist/"])
def test_package_of_the_study_has_its_folder(
    repository: Path, folder: str, monkeypatch: pytest.MonkeyPatch, mnist_folder: Path
) -> None:
    (repository / folder / "data").mkdir(parents=True)
    (repository / folder / "data/mnist").symlink_to(mnist_folder)
    monkeypatch.chdir(repository / folder)
    monkeypatch.setattr(ray, "put", lambda contents: contents)
    revision = git.call("rev-parse", "HEAD").strip()
    packaged = driver.package_study(revision)
    assert packaged.folder == folder
    assert packaged.identity == {"user.name": "A user", "user.email": "user@example.org"}
