import subprocess
import sys

import pytest
import torch
from torch import nn

import models
from study.recipes import params_file
from tests.checkout import ROOT

NAMES = models.names()
PUBLISHED = ["model_1", "model_2", "model_3", "model_4", "model_5"]


def test_names_are_the_model_files_in_order() -> None:
    assert set(PUBLISHED) <= set(NAMES)
    assert "layers" not in NAMES
    assert sorted(NAMES) == NAMES


def test_names_do_not_need_torch() -> None:
    code = "import sys, models; models.names(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("model_4_deeper", 8_600),
        ("model_4_pooled_first", 7_416),
        ("model_6", 7_954),
        ("model_6_standard", 7_442),
    ],
)
def test_models_of_our_own_have_this_many_parameters(name: str, parameters: int) -> None:
    network = models.build(name, dropout=0.1)
    assert sum(weights.numel() for weights in network.parameters()) == parameters


def test_model_6_and_its_variant_have_the_same_recipe() -> None:
    """They are compared, so only the convolutions may differ."""
    recipes = params_file.read((ROOT / "params.yaml").read_text("utf-8"), NAMES).models
    assert recipes["model_6"] == recipes["model_6_standard"]


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("dropout", [0.0, 0.15])
def test_dropout_applies_to_every_dropout_layer(name: str, dropout: float) -> None:
    rates = [layer.p for layer in models.build(name, dropout) if isinstance(layer, nn.Dropout)]
    assert rates == [dropout] * 5


@pytest.mark.parametrize("name", ["model_0", "layers", "__init__", ""])
def test_build_rejects_an_unknown_model(name: str) -> None:
    with pytest.raises(KeyError, match=repr(name)):
        models.build(name, dropout=0.1)


def test_pooled_first_is_the_same_function_as_model_4() -> None:
    one, other = (
        models.build(name, dropout=0.1).eval() for name in ("model_4", "model_4_pooled_first")
    )
    with torch.no_grad():
        for source, target in zip(one.parameters(), other.parameters(), strict=True):
            target.copy_(source)
        images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(one(images), other(images), atol=1e-6)
