"""`make experiments RAY=…`: what refuses, what tidies up."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from benchmarks import nodes  # before Ray: it sees to it that Ray listens on loopback alone

import ray  # isort: skip

from experiments import __main__ as program
from experiments import cluster, node
from study.errors import UserError
from tests.checkout import ROOT
from tests.test_many_runs import PLAIN, RUNS

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
    with pytest.raises(UserError, match=r"RAY = auto: Ray is not there; `pip install '\.\[ray\]'`"):
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
    return node.Study("5f3a", {}, node.versions(), unreachable, {}, "raw")


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
    reason = f"torch none there, {study.versions['torch']} here"
    assert said(study) == [node.Begun(), node.Unfit("a node", reason)]


def test_a_full_disk_is_refused_before_anything_is_fetched(
    study: node.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 5 * 2**20))
    home = tmp_path / f"mnist-study-{os.getuid()}"
    reason = f"{home}: 5 MiB free there, an experiment may need 256"
    assert said(study) == [node.Begun(), node.Unfit("a node", reason)]
    assert list(home.iterdir()) == []


def test_a_node_without_git_is_refused(study: node.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "keep", lambda *_: None)
    monkeypatch.setenv("PATH", "")
    assert said(study) == [node.Begun(), node.Unfit("a node", "git: No such file or directory")]


def test_what_killed_workers_left_behind_is_removed(tmp_path: Path) -> None:
    alive, dead = tmp_path / "experiment-alive", tmp_path / "experiment-dead"
    for folder in (alive, dead):
        (folder / "clone").mkdir(parents=True)
    with node.locked(alive / "lock"):
        node.sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [alive]


def test_what_a_killed_worker_has_started_ends(tmp_path: Path) -> None:
    """Down to the training, which is a child's child."""
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
        worker.send_signal(signal.SIGKILL)
    process.wait(timeout=60)


def test_a_command_s_status_and_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "pwd; echo $NAME >&2; exit 3"]
    status, words = node.guarded(command, tmp_path, {"NAME": "value"}, tmp_path / "log")
    assert (status, words) == (3, f"{tmp_path}\nvalue\n")


# On the driver


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> cluster.Cluster:
    """With nodes a and b, and a head without cores."""
    driver = object.__new__(cluster.Cluster)
    driver.unfit = {}
    there = [
        {
            "NodeID": name,
            "Alive": True,
            "NodeManagerAddress": "10.0.0.1",
            "Resources": {"CPU": cores} if cores else {},
        }
        for name, cores in (("head", 0), ("a", 1), ("b", 1))
    ]
    monkeypatch.setattr(ray, "nodes", lambda: there)
    return driver


def test_nodes_that_are_unfit(driver: cluster.Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    driver.refuse(node.Unfit("a", "no room"))
    driver.refuse(node.Unfit("a", "no room"))
    assert capsys.readouterr().out == "node a at 10.0.0.1 gets no experiments: no room\n"
    with pytest.raises(UserError, match="no node is left that can run experiments"):
        driver.refuse(node.Unfit("b", "no room"))


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS[PLAIN]
    on_gpu = run.__class__(
        run.experiment,
        run.model,
        run.description,
        run.recipe.model_copy(update={"device": "cuda"}),
        run.overrides,
    )
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    cluster.check_gpus([run])
    with pytest.raises(UserError, match=r"train\.device = cuda: no node of the cluster has a GPU"):
        cluster.check_gpus([run, on_gpu])
