"""The machine of a measurement, and the raw data on it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from benchmarks.processes import ROOT
from study.base import resources
from study.base.errors import UserError

RAW = ROOT / "data/mnist"


class Machine(TypedDict):
    """The machine of a measurement."""

    processor: str
    cores: int
    """Those that this process may use."""
    load: float
    """Load average over the minute before the first measurement; 0 is idle.

    Other work delays a process of several threads more than several processes of one.
    """
    versions: dict[str, str]
    """Versions of Python and of the packages that matter."""


def this_machine(*packages: str) -> Machine:
    """Return what this machine is, and how busy; with the versions of these packages, too."""
    return {
        "processor": processor(),
        "cores": resources.cores(),
        "load": load(),
        "versions": {"Python": platform.python_version()}
        | {name: version(name) for name in ("torch", "torchvision", "numba", *packages)},
    }


def processor() -> str:
    """Return the processor's model, or its architecture if the system does not name the model."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def load() -> float:
    """Return the load average over the last minute."""
    return round(os.getloadavg()[0], 1)


def versions(machine: Machine) -> str:
    """Return the versions for use in a sentence: `Python 3.11.7, torch 2.14.1`."""
    return ", ".join(f"{name} {number}" for name, number in machine["versions"].items())


def measured_on(machine: Machine) -> str:
    """Return the sentence about the machine."""
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f}"
        f" before the start; {versions(machine)}."
    )


def cpu_time_measured_on(machine: Machine) -> str:
    """Return the sentence about the machine of a measurement of CPU time, and its disturbance."""
    disturbance = (
        "\nOther work was running, or had just ended: it does not count as CPU time, but it shares"
        " caches and memory."
    )
    return measured_on(machine) + (disturbance if machine["load"] >= 1 else "")


def check_raw_data() -> None:
    """Raise UserError if MNIST has not been fetched."""
    if not RAW.exists():
        raise UserError("data/mnist does not exist; run `dvc repro download`")
