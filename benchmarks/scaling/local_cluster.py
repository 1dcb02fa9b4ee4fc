"""A Ray cluster of several nodes on this machine, which listens only on loopback."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ray reads these when it is imported.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # otherwise it listens on other interfaces
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  Ray's spelling; else workers yield to all

from ray.cluster_utils import Cluster

ATTEMPTS = 3
STORE = 2**28  # bytes of a node's object store


@contextmanager
def start() -> Iterator[Cluster]:
    """Yield a cluster with a head that runs no experiments; `add_node` adds nodes that do."""
    cluster = Cluster()
    try:
        add_node(cluster, 0)
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster: Cluster, cores: int, folder: Path | None = None) -> Any:
    """Add a node that keeps its temporary files in `folder`.

    Retries: on a busy machine, a node's processes may wait for each other longer than they do.
    """
    for attempt in range(ATTEMPTS):
        metrics, dashboard, environments = free_ports(3)
        try:
            return cluster.add_node(
                num_cpus=cores,
                object_store_memory=STORE,
                include_dashboard=False,
                env_vars={"TMPDIR": str(folder)} if folder else {},
                # Fixed in advance, so that no process has to wait to learn them.
                metrics_agent_port=metrics,
                dashboard_agent_listen_port=dashboard,
                runtime_env_agent_port=environments,
            )
        except Exception:
            if attempt == ATTEMPTS - 1:
                raise
    return None


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
