"""The two loops that are compared: they compute the same, each with its own settings."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import ElasticTransform

import models
from benchmarks import baseline_loop, processes
from study.base.errors import UserError
from study.data import mnist
from study.evaluation import evaluator
from study.training import augmentation
from study.training.engine_trainer import EngineTrainer
from study.training.trainer import initialize
from tests.engine.reference import gradients
from tests.recipes import recipe

RECIPE = recipe(epochs=1, dropout=0, train_images=128)


def first(count: int, dataset: Dataset[tuple[Tensor, Tensor]]) -> baseline_loop.Loader:
    """Return a loader of one batch, the first images."""
    return DataLoader(Subset(dataset, range(count)), batch_size=count)


@pytest.mark.parametrize("model", models.names())
def test_both_loops_compute_the_same(mnist_folder: Path, model: str) -> None:
    baseline = initialize(model, RECIPE)
    trainer = EngineTrainer(baseline, mnist.read_training_set(mnist_folder, 128), RECIPE)
    trained = trainer.train(0)
    train_set = baseline_loop.mnist(mnist_folder, True, baseline_loop.train_transform(RECIPE))
    loss, accuracy = baseline_loop.train(
        baseline,
        first(128, train_set),
        torch.optim.SGD(baseline.parameters(), lr=0.01, momentum=0.9),
    )
    assert trained.last_batch_loss == pytest.approx(loss, rel=1e-4)
    assert trained.accuracy == pytest.approx(accuracy)
    # Rounding may put a value on the other side of a ReLU; tests/engine judges in float64.
    ours = gradients(trainer.engine)
    for name, plain in baseline.named_parameters():
        assert plain.grad is not None
        # Before a batch norm, some gradients are 0 except for rounding.
        assert float((ours[name] - plain.grad).norm()) < 2e-3 * float(plain.grad.norm()) + 1e-6

    images, labels = mnist.read_evaluation_set(mnist_folder)
    tested = evaluator.evaluate(trainer.logits(images[:500]), labels[:500])
    test_set = baseline_loop.mnist(mnist_folder, False, baseline_loop.test_transform())
    loss, accuracy = baseline_loop.test(baseline, first(500, test_set))
    assert tested.loss == pytest.approx(loss, rel=1e-3)
    assert tested.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("key", "value"), [("rotation", 45), ("translation", 5), ("scaling", 0.5), ("elastic", 5)]
)
def test_baseline_augments_only_if_asked(mnist_folder: Path, key: str, value: float) -> None:
    augmented = recipe(**{key: value})
    plain, same, changed, again = (
        next(
            iter(
                first(
                    8, baseline_loop.mnist(mnist_folder, True, baseline_loop.train_transform(each))
                )
            )
        )[0]
        for each in (RECIPE, RECIPE, augmented, augmented)
    )
    assert torch.equal(plain, same)
    assert not torch.equal(plain, changed)
    assert not torch.equal(changed, again)


def test_baselines_elastic_displacements_are_as_large() -> None:
    (transform,) = (
        each
        for each in baseline_loop.train_transform(recipe(elastic=3)).transforms
        if isinstance(each, ElasticTransform)
    )
    plain = torch.cat(
        [transform.get_params(transform.alpha, transform.sigma, [28, 28]) for _ in range(200)]
    )
    weights = augmentation.bspline_basis(28)
    shape = (200, 2, augmentation.CONTROL_POINTS, augmentation.CONTROL_POINTS)
    ours = weights @ np.random.default_rng(1).uniform(-3, 3, shape) @ weights.T
    assert 28 / 2 * float(plain.std()) == pytest.approx(ours.std(), rel=0.05)


@pytest.mark.parametrize("module", ["benchmarks.baseline_loop", "benchmarks.__main__"])
def test_baseline_is_free_of_this_projects_settings(module: str) -> None:
    """It has them neither from its imports nor from the process that starts it."""
    # torchvision has settings of its own.
    code = (
        f"import os, sys, torchvision; before = dict(os.environ); import {module};"
        "sys.exit(before != dict(os.environ))"
    )
    # The environment of this process may have them from other tests.
    environment = {
        key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ
    }
    subprocess.run([sys.executable, "-c", code], cwd=processes.ROOT, env=environment, check=True)


def test_failing_process_is_named_with_its_last_line() -> None:
    with pytest.raises(UserError, match=r"json\.tool no_file failed: .*No such file"):
        processes.run("json.tool", ["no_file"])
