"""Training on an NVIDIA GPU: all data is on the card, and each step replays a captured CUDA graph.

The networks are so small that launching kernels one by one takes longer than running them. Without
a graph, an epoch takes 3 to 8 times as long and gives the same bytes (docs/gpu.md). Nothing is read
back from the card within an epoch.
"""

import math
import os
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.base.errors import UserError
from study.data.mnist import Images
from study.networks.inputs import normalize
from study.recipes.recipe import Recipe
from study.training.augmentation import CONTROL_POINTS, annealed_strength, bspline_basis
from study.training.batches import seed_torch
from study.training.pytorch_trainer import PyTorchTrainer
from study.training.trainer import DivergedError, TrainStats


def device() -> torch.device:
    """Return the GPU. Raises UserError if there is none."""
    if not torch.cuda.is_available():
        raise UserError("train.device must be cpu if there is no NVIDIA GPU, got cuda")
    return torch.device("cuda")


class CudaTrainer(PyTorchTrainer):
    """Trains any network on the card, where it also draws its random numbers.

    An epoch reads no result of a step, so it replaces `train`, and `begin` and `step` are not used.
    The same recipe should give the same weights on the same card and software, but not elsewhere.
    """

    trained_by = "PyTorch, on a GPU"

    def __init__(
        self,
        network: nn.Sequential,
        train_set: Images,
        recipe: Recipe,
        on: torch.device | None = None,
    ) -> None:
        """Move everything to the card. With a CPU as `on`, for tests, steps run without a graph."""
        torch.use_deterministic_algorithms(True)
        # cuBLAS is deterministic only with a workspace of fixed size.
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        # No kernel here reads memory before writing it, and filling it takes a sixth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.on = on or device()
        network = network.to(memory_format=torch.channels_last).to(self.on)
        super().__init__(network, train_set, recipe)
        self.images, self.labels = (torch.from_numpy(array).to(self.on) for array in train_set)
        # A captured graph reads and writes these tensors, so they are never replaced.
        self.rate = torch.tensor(recipe.learning_rate, device=self.on)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.batch = torch.arange(recipe.batch_size, device=self.on)
        self.strength = torch.ones((), device=self.on)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.on)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.on)
        self.last_loss = torch.zeros((), device=self.on)
        self.graph = self.captured() if self.on.type == "cuda" else None

    def train(self, epoch: int) -> TrainStats:
        """Train on every image once. Raises DivergedError if the loss is not finite."""
        seed_torch(self.recipe, epoch, "cuda")
        self.strength.fill_(annealed_strength(self.recipe, epoch))
        self.loss_sum.zero_()
        self.correct.zero_()
        order = torch.randperm(len(self.images), device=self.on)
        self.network.train()
        for number, batch in enumerate(torch.split(order, self.recipe.batch_size)):
            self.rate.fill_(self.learning_rate(epoch, number))
            if self.graph and len(batch) == len(self.batch):
                self.batch.copy_(batch)
                self.graph.replay()
            else:
                self.optimizer.zero_grad()
                self.step_on_card(batch)
        seen = len(self.images)
        loss = self.loss_sum.item() / seen
        if not math.isfinite(loss):
            raise DivergedError(loss, self.recipe.learning_rate, epoch)
        accuracy = 100 * self.correct.item() / seen
        return TrainStats(loss, accuracy, number, self.last_loss.item())

    def step_on_card(self, batch: Tensor) -> None:
        """Take one step on the images with the indices `batch`."""
        images, labels = normalize(self.images[batch]), self.labels[batch]
        if self.recipe.augments:
            images = augment(images, self.recipe, self.strength)
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update()
        self.last_loss.copy_(loss.detach())
        self.loss_sum += self.last_loss * len(batch)
        self.correct += (logits.argmax(dim=1) == labels).sum()

    def captured(self) -> torch.cuda.CUDAGraph:
        """Return a graph of one step. The weights are restored after the steps that warm up."""
        before = self.state()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.optimizer.zero_grad()
                self.step_on_card(self.batch)
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step_on_card(self.batch)
        self.load_state(before)
        return graph


def augment(images: Tensor, recipe: Recipe, strength: Tensor) -> Tensor:
    """Return augmented images float32 [n, 1, h, w], like augmentation.augment, on their device."""

    def draw(limit: float, *shape: int) -> Tensor:
        drawn = torch.empty(len(images), *shape, device=images.device).uniform_(-limit, limit)
        return strength * drawn

    angles, scales = torch.deg2rad(draw(recipe.rotation)), 1 + draw(recipe.scaling)
    shifts = draw(recipe.translation, 2)
    cosines, sines = angles.cos() / scales, angles.sin() / scales
    linear = torch.stack(
        [torch.stack([cosines, -sines], 1), torch.stack([sines, cosines], 1)], dim=1
    )
    # Coordinates of affine_grid and grid_sample go from -1 to 1 across the image.
    side = images.shape[-1]
    offsets = -2 / side * (linear @ shifts[:, :, None])
    grid = F.affine_grid(
        torch.cat([linear, offsets], dim=2), list(images.shape), align_corners=False
    )
    if recipe.elastic:
        displacements = draw(recipe.elastic, 2, CONTROL_POINTS, CONTROL_POINTS)
        basis = basis_on(images.device, side)
        grid = grid + 2 / side * torch.einsum("yi,xj,ncij->nyxc", basis, basis, displacements)
    background = images.min()
    augmented = F.grid_sample(
        images - background, grid, mode=recipe.interpolation, align_corners=False
    )
    return augmented + background


@cache
def basis_on(device: torch.device, side: int) -> Tensor:
    """Return bspline_basis float32 on a device. A graph cannot capture the copy from the host."""
    return torch.from_numpy(bspline_basis(side)).float().to(device)
