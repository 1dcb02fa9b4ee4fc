"""The cost of a cluster: the studies that are measured, and the page."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.scaling import __main__ as scaling
from benchmarks.scaling import scaling_page
from stages import paths


def test_stand_in_study_has_no_command_of_the_measured_stages(tmp_path: Path) -> None:
    study = scaling.create_study(tmp_path / "study", [1, 2], {"epochs": 3}, stand_in=True)
    stages = yaml.safe_load((study / "dvc.yaml").read_text("utf-8"))["stages"]
    commands = {name: stage.get("do", stage)["cmd"] for name, stage in stages.items()}
    replaced = {name for name, command in commands.items() if "stand_in.py" in command}
    assert replaced == set(scaling.STAGES)
    params = yaml.safe_load((study / "params.yaml").read_text("utf-8"))
    assert params["train"]["epochs"] == 3
    assert scaling.call(study, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_stand_in_study_runs_in_dvc(tmp_path: Path) -> None:
    study = scaling.create_study(tmp_path / "study", [1, 2], {}, stand_in=True)
    scaling.call(study, sys.executable, "-m", "experiments", "--jobs", "1")
    lines = (study / paths.RUNS).read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2


def test_records_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "RECORDED", (2, 3))
    records = scaling.records(tmp_path / "study")
    assert list(records) == ["2", "3"]
    for times in records.values():
        assert set(times) == {"first_look_seconds", "fetch_seconds", "look_seconds"}
    lines = (tmp_path / "study/study" / paths.RUNS).read_text("utf-8").splitlines()
    assert len(lines) == 1 + 4


def results(fetch: float) -> dict[str, Any]:
    """Return measurements in which fetching takes `fetch` seconds if there are 10,000."""
    look = {"first_look_seconds": 0.1, "look_seconds": 0.1}
    return {
        "machine": {"processor": "some", "cores": 2, "load": 0, "load_after": 0, "versions": {}},
        "study": {
            "experiments": 4,
            "epochs": 3,
            "local_seconds": 90,
            "cluster_seconds": 80,
            "same_rows": True,
        },
        "sizes": {"raw": 55e6, "commit": 4e6, "experiment": 200_000},
        "overhead": {"each": 3, "seconds": {"1": 30}},
        "driver": {
            "experiments": 10_000,
            "seconds": 100,
            "memory_mib": {"connected": 100, "most": 300},
        },
        "records": {
            "10": look | {"fetch_seconds": 0.0},
            "1000": look | {"fetch_seconds": 0.0},
            "10000": look | {"fetch_seconds": fetch},
        },
    }


def test_costs_are_extrapolated_linearly() -> None:
    costs = scaling_page.Costs(results(fetch=0.9))
    # Without stages, 30 seconds for 3; with them, 2 nodes for 80 seconds for 4.
    assert (costs.overhead, costs.core_seconds) == (10, 40)
    assert costs.hours(1_000, 2) == pytest.approx(40 * 500 / 3600)
    # 0.0001 s more for each experiment, from 1,000 on.
    assert [costs.seconds("fetch_seconds", count) for count in (1_000, 100_000)] == [
        0,
        pytest.approx(9.9),
    ]
    # 100 MiB, and a fiftieth of one for each.
    assert costs.driver_gibibytes == pytest.approx(2100 / 1024)


@pytest.mark.parametrize(("fetch", "cores"), [(0.09, None), (0.02, "182")])
def test_bottleneck_depends_on_the_measurements(fetch: float, cores: str | None) -> None:
    text = scaling_page.markdown(results(fetch))
    (bottleneck,) = re.findall(r"\*\*100,000 experiments: (.*?)\.\*\*", text)
    assert bottleneck.endswith("the driver")
    assert re.findall(r"\d+", bottleneck) == ([cores] if cores else [])
