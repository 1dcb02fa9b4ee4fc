"""A Ray cluster of several nodes on this machine, which listens on loopback alone."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ray reads these when it is imported.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # otherwise it does not stay on loopback
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  as Ray spells it; or all else comes first

from ray.cluster_utils import Cluster

ATTEMPTS = 3
STORE = 2**28  # bytes of memory that a node has for what Ray carries


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield a cluster that has a head, and nodes only once they are added."""
    nodes = Cluster()
    try:
        # A head without room for experiments, as clusters often have it.
        add(nodes, 0)
        yield nodes
    finally:
        nodes.shutdown()


def add(nodes: Cluster, cores: int, folder: Path | None = None) -> Any:
    """Add a node, whose temporary files are to be in `folder`.

    On a busy machine, its parts can be later than they wait for each other: then once more.
    """
    left = ATTEMPTS
    while True:
        left -= 1
        metrics, dashboard, environments = free_ports(3)
        try:
            return nodes.add_node(
                num_cpus=cores,
                object_store_memory=STORE,
                include_dashboard=False,
                env_vars={"TMPDIR": str(folder)} if folder else {},
                # Known from the beginning, nobody waits for them.
                metrics_agent_port=metrics,
                dashboard_agent_listen_port=dashboard,
                runtime_env_agent_port=environments,
            )
        except Exception:
            if not left:
                raise


def free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
