import pytest
import torch

from study.training.schedule import learning_rate
from tests.recipes import recipe


@pytest.mark.parametrize("warmup", [0.03, 0.2, 0.37, 0.5])
def test_one_cycle_equals_torchs(warmup: float) -> None:
    cycle = recipe(scheduler="one_cycle", warmup_fraction=warmup, learning_rate=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=20, pct_start=warmup, anneal_strategy="linear"
    )
    for step in range(20):
        assert learning_rate(cycle, step, 20) == pytest.approx(torchs.get_last_lr()[0])
        optimizer.step()
        torchs.step()


def test_constant_is_the_recipes_rate() -> None:
    assert learning_rate(recipe(scheduler="constant", learning_rate=0.3), 7, 20) == 0.3


def test_one_cycle_with_a_warmup_of_one_step_starts_at_the_peak() -> None:
    cycle = recipe(scheduler="one_cycle", warmup_fraction=0.05, learning_rate=0.1)
    rates = [learning_rate(cycle, step, 20) for step in range(20)]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
