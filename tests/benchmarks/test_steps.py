"""The CPU time of a training step, and its table in docs/engine.md."""

import pytest

from benchmarks import comparison, steps

RESULTS: steps.Steps = {
    "machine": {"processor": "Some Processor", "cores": 2, "load": 0.2, "versions": {"torch": "2"}},
    "steps": 10,
    "repetitions": 3,
    "peak": 100,
    "batch_sizes": {"model_3": 128},
    "operations": {"model_3": 810_000_000},
    "milliseconds": {"model_3": {"plain": 30, "engine": 10}},
}


def test_table_has_the_results() -> None:
    text = steps.table(RESULTS)
    assert "| Model 3 | 30.0 | 10.0 | 3.0 | 81 | 81% |" in text.splitlines()
    for part in ("128 images", "3 measurements of 10 steps", "Some Processor", "load 0.2"):
        assert part in text


@pytest.mark.slow
@pytest.mark.xdist_group("engine")
def test_measurement_of_a_model_has_the_cpu_time_of_each_loop() -> None:
    recipes = {"model_3": comparison.recipes()["model_3"].model_copy(update={"batch_size": 8})}
    results = steps.measure(recipes, steps=1, repetitions=2)
    times = results["milliseconds"]["model_3"]
    assert set(times) == set(steps.LOOPS)
    assert all(value > 0 for value in times.values())
    assert results["operations"]["model_3"] % results["batch_sizes"]["model_3"] == 0
