"""Training in PyTorch: of networks that the engine does not support, and on a GPU.

This is the plain way, which the engine is tested against.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from study.data.mnist import Images
from study.engine import Arrays
from study.networks.inputs import logits, normalize
from study.recipes.recipe import Recipe
from study.training.averaging import ExponentialMovingAverage
from study.training.batches import seed_torch
from study.training.trainer import Trainer


class PyTorchTrainer(Trainer):
    """Trains any network in place, in one thread.

    The same recipe gives the same weights on the same processor and software.
    """

    trained_by = "PyTorch"

    def __init__(self, network: nn.Sequential, train_set: Images, recipe: Recipe) -> None:
        """Start from the network's weights."""
        super().__init__(train_set, recipe)
        torch.set_num_threads(1)  # sums depend on how they are split up
        self.network = network
        self.optimizer = optimizer(network, recipe)
        self.average = ExponentialMovingAverage(network, recipe.ema_decay)

    def begin(self, epoch: int) -> None:
        """Seed dropout."""
        seed_torch(self.recipe, epoch, "dropout")

    def step(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], learning_rate: float
    ) -> tuple[float, int]:
        """Take one step; return the sum of the losses, in nats, and the correct predictions."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        targets = torch.from_numpy(labels)
        outputs = self.network(normalize(torch.from_numpy(images)))
        loss = F.cross_entropy(outputs, targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update()
        return loss.item() * len(labels), int((outputs.argmax(dim=1) == targets).sum())

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's logits [n, 10] of images uint8 [n, 28, 28]: the EMA's, if any."""
        return logits(self.average.network, images)

    def weights(self) -> Arrays:
        """Return the network's state_dict as arrays: the EMA's, if any."""
        return arrays(self.average.network.state_dict())

    def state(self) -> Arrays:
        """Return copies of everything that later epochs depend on."""
        return arrays(self.tensors())

    def load_state(self, state: Arrays) -> None:
        """Continue from the result of `state`, with the bytes of an uninterrupted training."""
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.from_numpy(state[name]))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that later epochs depend on, to be read or written."""
        networks = {"network": self.network, "average": self.average.network}
        return {
            f"{name}.{key}": value
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        } | {
            f"velocity.{i}": self.optimizer.state[parameter]["momentum_buffer"]
            for i, parameter in enumerate(self.network.parameters())
        }


def arrays(tensors: dict[str, Tensor]) -> Arrays:
    """Return copies of tensors as arrays."""
    return {name: tensor.cpu().contiguous().numpy().copy() for name, tensor in tensors.items()}


def optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return stochastic gradient descent, with weight decay on the convolutions only."""
    convolutions = [p for p in network.parameters() if p.ndim == 4]
    rest = [p for p in network.parameters() if p.ndim != 4]
    sgd = torch.optim.SGD(
        [
            {"params": convolutions, "weight_decay": recipe.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        fused=True,
    )
    # PyTorch would create them in the first step; a training that resumes has no first step.
    for parameter in network.parameters():
        sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd
