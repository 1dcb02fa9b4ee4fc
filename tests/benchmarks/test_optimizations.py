"""What the engine's optimizations are worth, and the table in docs/engine.md."""

import numpy as np
import pytest

from benchmarks import comparison, optimizations
from benchmarks.step_without import WITHOUT
from study.engine import Engine, rng_state
from study.training.trainer import initialize
from tests.engine.reference import digits

MILLISECONDS = {optimizations.ENGINE: 20.0} | dict.fromkeys(WITHOUT, 25.0)
RESULTS: optimizations.Optimizations = {
    "machine": {"processor": "Some Processor", "cores": 2, "load": 0.2, "versions": {"torch": "2"}},
    "steps": 10,
    "repetitions": 3,
    "processes": 1,
    "milliseconds": {"model_3": MILLISECONDS, "model_4": MILLISECONDS | {"Prefetching": 19.0}},
}


def test_table_shows_the_additional_time_without_each_optimization() -> None:
    lines = optimizations.table(RESULTS).splitlines()
    assert "| Without | Model 3 | Model 4 |" in lines
    assert "|---|--:|--:|" in lines
    assert "| Prefetching | +25% | -5% |" in lines


def loss(model: str) -> float:
    """Return the loss of a second step, which depends on the gradients of the first."""
    recipe = comparison.recipes()[model]
    engine = Engine(initialize(model, recipe), 12)
    state = rng_state(np.random.SeedSequence(1))
    return [engine.step(*digits(12), state, 0.05, 0.9)[0] for _ in range(2)][1]


@pytest.mark.slow
@pytest.mark.xdist_group("engine")
@pytest.mark.parametrize("name", [name for name in WITHOUT if name != "Prefetching"])
def test_engine_without_an_optimization_computes_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = loss("model_3")
    WITHOUT[name](monkeypatch.setattr)
    assert loss("model_3") == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.xdist_group("engine")
def test_measurement_of_a_model_has_the_cpu_time_without_each_optimization() -> None:
    recipes = {"model_3": comparison.recipes()["model_3"].model_copy(update={"batch_size": 8})}
    results = optimizations.measure(recipes, steps=1, repetitions=1, processes=1)
    times = results["milliseconds"]["model_3"]
    assert set(times) == {optimizations.ENGINE, *WITHOUT}
    assert all(value > 0 for value in times.values())
