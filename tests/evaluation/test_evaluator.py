import math
from dataclasses import replace
from pathlib import Path

import torch

from study.data import mnist
from study.evaluation import evaluator
from study.networks import inputs
from study.training import sgd
from tests.recipes import recipe


def test_evaluate_equals_softmax_in_double_precision(mnist_folder: Path) -> None:
    images, labels = (tensor[:1200] for tensor in mnist.read_evaluation_set(mnist_folder))
    network = sgd.initialize("model_2", recipe())
    tested = evaluator.evaluate(network, images, labels)
    assert network.training  # its mode is restored
    with torch.no_grad():
        x = (images.double()[:, None] / 255 - inputs.MEAN) / inputs.SD
        logits = network.double().eval()(x)
    likelihoods = torch.softmax(logits, dim=1)[torch.arange(len(labels)), labels]
    assert math.isclose(tested.loss, -likelihoods.log().mean().item(), rel_tol=1e-5)
    assert torch.equal(tested.predictions, logits.argmax(dim=1))
    assert tested.correct == int((logits.argmax(dim=1) == labels).sum())
    assert tested.accuracy == 100 * tested.correct / 1200
    assert replace(tested, correct=300).accuracy == 25
