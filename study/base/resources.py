"""How many trainings this process may run at the same time: `python -m study.base.resources`."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

MEMORY_OF_A_TRAINING = 1_200_000_000
"""Bytes that one training takes at most; tests/faults measures it."""
CGROUPS = Path("/sys/fs/cgroup")


def jobs() -> int:
    """Return how many trainings fit: one per core, and as many as there is memory for."""
    return max(1, min(cores(), memory() // MEMORY_OF_A_TRAINING))


def cores() -> int:
    """Return the number of cores that this process may use: its affinity, and its cgroup's quota.

    taskset, Slurm and containers set these; the machine may have more.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for text in cgroup("cpu.max"):
        quota, period = text.split()
        if quota != "max":
            count = min(count, int(quota) // int(period))
    return max(1, count)


def memory() -> int:
    """Return the bytes of memory that this process may still take: the machine's, its cgroup's."""
    free = int(psutil.virtual_memory().available)
    files = (cgroup(name) for name in ("memory.max", "memory.current", "memory.stat"))
    for limit, current, details in zip(*files, strict=False):
        if limit.strip() != "max":
            # Of what counts as used, the kernel gives back copies of files that nobody reads.
            unused = int(dict(line.split() for line in details.splitlines())["inactive_file"])
            free = min(free, int(limit) - int(current) + unused)
    return max(0, free)


def cgroup(name: str) -> Iterator[str]:
    """Yield the content of a file of this process's cgroup (version 2) and of those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return
    for folder in (CGROUPS / own, *(CGROUPS / own).parents):
        if folder.is_relative_to(CGROUPS) and (folder / name).is_file():
            yield (folder / name).read_text("ascii")


if __name__ == "__main__":
    print(jobs())
