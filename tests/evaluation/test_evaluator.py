import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from study.data import mnist
from study.evaluation import evaluator
from study.networks import inputs
from study.training.trainer import initialize
from tests.recipes import recipe

pytestmark = pytest.mark.xdist_group("engine")


@pytest.mark.parametrize("layers", [[], [nn.Identity()]], ids=["engine", "pytorch"])
def test_evaluate_equals_softmax_in_double_precision(
    mnist_folder: Path, layers: list[nn.Module]
) -> None:
    images, labels = mnist.read_evaluation_set(mnist_folder)
    images, labels = images[:1200], labels[:1200]
    network = nn.Sequential(*initialize("model_2", recipe()), *layers)
    tested = evaluator.evaluate(evaluator.logits(network, images), labels)
    with torch.no_grad():
        x = (torch.from_numpy(images).double()[:, None] / 255 - inputs.MEAN) / inputs.SD
        logits = network.double().eval()(x)
    likelihoods = torch.softmax(logits, dim=1)[torch.arange(1200), torch.from_numpy(labels)]
    predictions = logits.argmax(dim=1).numpy()
    assert math.isclose(tested.loss, -likelihoods.log().mean().item(), rel_tol=1e-5)
    assert np.array_equal(tested.predictions, predictions)
    assert tested.correct == (predictions == labels).sum()
    assert tested.accuracy == 100 * tested.correct / 1200
    assert replace(tested, correct=300).accuracy == 25
