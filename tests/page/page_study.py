"""A study whose page can be written: the networks of all models, and what the stage reads."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import models
from stages import claims, page, paths, recipes
from study.base.errors import UserError
from study.data import mnist
from study.evaluation import metrics, trained_network
from study.networks import inputs
from study.training import weights_file
from tests.checkout import ROOT

COPIED = (
    *(paths.PARAMS, paths.CLAIMS, paths.EXPERIMENTS, paths.WRITE_UP, paths.EPOCHS, paths.RUNS),
    *(paths.metrics("").parent, paths.history("").parent),
)
EVALUATED = 500
"""Number of test images that the networks are evaluated on; they read the others correctly."""


@dataclass(frozen=True)
class PageStudy:
    """A folder with the inputs of the stage `page` and its output."""

    folder: Path
    networks: Mapping[str, nn.Sequential]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @classmethod
    def create(cls, folder: Path, raw: Path, names: Iterable[str]) -> Self:
        """Write a study of these models, and its page."""
        for path in COPIED:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
            copy(ROOT / path, folder / path)
        (folder / paths.MNIST).parent.mkdir()
        (folder / paths.MNIST).symlink_to(raw)
        images, labels = mnist.read_evaluation_set(raw)
        study = cls(folder, {name: network(name) for name in names}, images, labels)
        for name, each in study.networks.items():
            study.write_network(name, each)
        study.run(recipes.main)
        study.run(claims.main)
        study.run(page.main)
        return study

    def write_network(self, name: str, trained: nn.Sequential) -> None:
        """Write the weights of a network, and its predictions."""
        path = self.folder / paths.weights(name)
        path.parent.mkdir(exist_ok=True)
        state = {key: value.numpy() for key, value in trained.state_dict().items()}
        path.write_bytes(weights_file.to_safetensors(state))
        predictions = self.labels.copy()
        read = inputs.logits(trained, self.images[:EVALUATED]).argmax(axis=1)
        predictions[:EVALUATED] = read
        path = self.folder / paths.predictions(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(metrics.predictions_to_csv(self.labels, predictions), encoding="utf-8")

    def run(self, main: object) -> None:
        """Run a stage in the folder of this study."""
        assert callable(main)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["a stage"])
            main()

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / paths.PAGE

    @property
    def predictions(self) -> NDArray[np.int64]:
        """What each network reads, by image and network."""
        columns = [
            np.loadtxt(self.folder / paths.predictions(name), int, delimiter=",", skiprows=1)[:, 2]
            for name in self.networks
        ]
        return np.stack(columns, axis=1)


def network(name: str) -> nn.Sequential:
    """Return a model as the study has trained it; one with random numbers if it has not."""
    try:
        trained = trained_network.load(name, ROOT / paths.weights(name))
    except UserError:
        return with_random_numbers(name)
    return trained.eval()


def with_random_numbers(name: str) -> nn.Sequential:
    """Return a model of random numbers, also where those of a new model are 0 or 1."""
    torch.manual_seed(1)
    random = models.build(name, dropout=0.0)
    for module in random:
        if isinstance(module, nn.BatchNorm2d):
            for parameter in (module.weight, module.bias, module.running_mean):
                assert parameter is not None
                nn.init.normal_(parameter)
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.1, 2)
    return random.eval()
