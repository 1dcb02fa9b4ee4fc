"""How many trainings this process may run at the same time: `python -m study.base.resources`."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

MEMORY_OF_A_TRAINING = 1_200_000_000
"""Bytes that one training takes at most; tests/faults measures it."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def jobs() -> int:
    """Return how many trainings fit: one per core, and as many as there is memory for."""
    return max(1, min(cores(), memory() // MEMORY_OF_A_TRAINING))


def cores() -> int:
    """Return the number of cores that this process may use: its affinity, and its cgroup's quota.

    taskset, Slurm and containers set these; the machine may have more.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in cgroups():
        quota, _, period = content(folder / "cpu.max").partition(" ")
        if quota.isdigit():
            count = min(count, int(quota) // int(period))
    return max(1, count)


def memory() -> int:
    """Return the bytes of memory that this process may still take: the machine's, its cgroup's."""
    free = int(psutil.virtual_memory().available)
    for folder in cgroups():
        limit, used = content(folder / "memory.max"), content(folder / "memory.current")
        if limit.isdigit():
            # Of what counts as used, the kernel gives back copies of files that nobody reads.
            details = content(folder / "memory.stat").splitlines()
            unused = dict(line.split() for line in details).get("inactive_file", "0")
            free = min(free, int(limit) - int(used) + int(unused))
    return max(0, free)


def cgroups() -> Iterator[Path]:
    """Yield the folders of this process's cgroup (version 2) and of those above it."""
    lines = content(OWN_CGROUPS).splitlines()
    for own in [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]:
        folder = CGROUPS / own
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(CGROUPS))


def content(path: Path) -> str:
    """Return the content of one of the kernel's files; nothing if there is no such file."""
    return path.read_text("ascii").strip() if path.is_file() else ""


if __name__ == "__main__":
    print(jobs())
