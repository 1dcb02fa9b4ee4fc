import pytest
import torch
from torch import nn

import models
from study.networks import model_summary
from tests.evidence.hand_made import PUBLISHED

IMAGE = (1, 28, 28)


@pytest.mark.parametrize("name", PUBLISHED.models)
def test_table_equals_the_published_one(name: str) -> None:
    table = model_summary.table(models.build(name, dropout=0.1), IMAGE)
    assert table.splitlines() == PUBLISHED.models[name].summary.splitlines()
    assert table.endswith("Non-trainable params: 0\n")


def test_table_does_not_depend_on_dropout() -> None:
    tables = {
        model_summary.table(models.build("model_2", dropout), IMAGE) for dropout in (0.0, 0.5)
    }
    assert len(tables) == 1


def test_table_keeps_the_network_and_the_random_state() -> None:
    network = models.build("model_2", dropout=0.1).train()
    values = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.random.get_rng_state()
    model_summary.table(network, IMAGE)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(torch.equal(values[name], value) for name, value in network.state_dict().items())
    assert all(layer.training for layer in network.modules())
    assert isinstance(network[-1], nn.Flatten)


def test_table_keeps_a_flatten_within_the_network() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 27), nn.Flatten(), nn.Linear(8, 10))
    network[0].requires_grad_(False)
    lines = model_summary.table(network, IMAGE).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["Conv2d-1", "Flatten-2", "Linear-3"]
    assert lines[-1] == "Non-trainable params: 1,460"
