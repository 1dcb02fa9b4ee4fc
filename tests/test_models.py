import pytest
import torch
import yaml
from torch import nn

import models
from tests.checkout import ROOT

NAMES = models.names()
DOCUMENTED = ["model_1", "model_2", "model_3", "model_4", "model_5"]


def test_names_are_the_model_files() -> None:
    assert set(DOCUMENTED) <= set(NAMES)
    assert "layers" not in NAMES
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_images_become_logits(name: str) -> None:
    logits = models.build(name, dropout=0.1)(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, 10)
    # Log-probabilities would sum to one.
    assert not torch.isclose(logits.exp().sum(1), torch.ones(3)).any()


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_flat_and_end_in_flatten(name: str) -> None:
    network = models.build(name, dropout=0.1)
    # The network itself is the first of its modules().
    assert list(network) == list(network.modules())[1:]
    assert isinstance(network[-1], nn.Flatten)


@pytest.mark.parametrize(("name", "parameters"), [("deeper", 8_600), ("pooled_first", 7_416)])
def test_variants_of_model_4(name: str, parameters: int) -> None:
    assert count(f"model_4_{name}") == parameters


@pytest.mark.parametrize(("name", "parameters"), [("model_6", 7_954), ("model_6_standard", 7_442)])
def test_what_is_after_the_goal_is_small_enough(name: str, parameters: int) -> None:
    assert count(name) == parameters < 8_000


def count(name: str) -> int:
    return sum(weights.numel() for weights in models.build(name, dropout=0.1).parameters())


def test_model_6_and_its_variant_are_trained_alike() -> None:
    own = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["models"]
    assert own["model_6_standard"] == own["model_6"]


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.parametrize("dropout", [0.0, 0.15])
def test_dropout_reaches_every_dropout_layer(name: str, dropout: float) -> None:
    rates = [layer.p for layer in models.build(name, dropout) if isinstance(layer, nn.Dropout)]
    assert rates == [dropout] * 5


@pytest.mark.parametrize("name", ["model_0", "layers", "__init__", ""])
def test_unknown_model_is_named_beside_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown model '{name}'; there are .*model_1, .*model_5"):
        models.build(name, dropout=0.1)


def test_pooling_first_is_the_same_function() -> None:
    last, first = (
        models.build("model_4", 0.1).eval(),
        models.build("model_4_pooled_first", 0.1).eval(),
    )
    weights = zip(last.parameters(), first.parameters(), strict=True)
    with torch.no_grad():
        for ours, theirs in weights:
            theirs.copy_(ours)
        images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(last(images), first(images), atol=1e-6)
