"""The choice of a trainer."""

from torch import nn

from study import engine
from study.data.mnist import Images
from study.recipes.recipe import Recipe
from study.training.cuda_trainer import CudaTrainer
from study.training.engine_trainer import EngineTrainer
from study.training.pytorch_trainer import PyTorchTrainer
from study.training.trainer import Trainer


def trainer(network: nn.Sequential, train_set: Images, recipe: Recipe) -> Trainer:
    """Return the trainer of a network. On a CPU, it depends on the network's layers only.

    Raises UserError if the recipe asks for a GPU and there is none.
    """
    if recipe.device == "cuda":
        return CudaTrainer(network, train_set, recipe)
    if engine.unsupported_reason(network):
        return PyTorchTrainer(network, train_set, recipe)
    return EngineTrainer(network, train_set, recipe)
