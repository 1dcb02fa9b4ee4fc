import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from study.base import resources
from study.base.files import write

TRAINING = resources.MEMORY_OF_A_TRAINING
FAULT = pytest.mark.fault(
    "fewer cores or less memory than the machine has: taskset, a container, a Slurm job",
    "as many trainings at once as fit, at least one",
)


class Memory(NamedTuple):
    available: int


@FAULT
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_jobs_are_one_on_one_core() -> None:
    core = min(os.sched_getaffinity(0))
    code = f"import os, runpy; os.sched_setaffinity(0, [{core}]);"
    code += f"runpy.run_module('{resources.__name__}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@FAULT
@pytest.mark.parametrize(
    ("quota", "limit", "used", "cached", "jobs"),
    [
        ("max 100000", "max", 0, 0, 64),
        ("200000 100000", "max", 0, 0, 2),
        ("350000 100000", "max", 0, 0, 3),
        ("50000 100000", "max", 0, 0, 1),
        ("max 100000", 3 * TRAINING, TRAINING, 0, 2),
        # After an installation, files in the cache count as used.
        ("max 100000", 3 * TRAINING, 3 * TRAINING, 2 * TRAINING, 2),
        ("max 100000", 3 * TRAINING, TRAINING, None, 2),
        ("400000 100000", 3 * TRAINING, 0, 0, 3),
        ("max 100000", TRAINING // 2, 0, 0, 1),
    ],
)
def test_jobs_are_as_many_as_the_control_group_allows(
    quota: str,
    limit: str | int,
    used: int,
    cached: int | None,
    jobs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a machine of 64 cores with a lot of memory, in a part of a job: both may set limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available=200 * TRAINING))
    monkeypatch.setattr(resources, "CGROUPS", tmp_path)
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "own")
    write(tmp_path / "own", "1:cpu:/elsewhere\n0::/job/step\n")
    write(tmp_path / "job/step/cpu.max", f"{quota}\n")
    write(tmp_path / "job/memory.max", f"{limit}\n")
    write(tmp_path / "job/memory.current", f"{used}\n")
    if cached is not None:  # not every system has it
        write(tmp_path / "job/memory.stat", f"anon 7\ninactive_file {cached}\nactive_file 7\n")
    assert resources.jobs() == jobs
