"""Training on an NVIDIA GPU: everything on the card, and a step is one replay of a captured graph.

The networks are so small that launching their kernels one by one is to take longer than running
them. Nothing is read back from the card within an epoch. None of this has run on a GPU yet.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.base.errors import UserError
from study.evaluation.evaluator import normalise
from study.recipes.recipe import Recipe
from study.training.augmentation import CONTROL_POINTS, splines
from study.training.averaging import Average
from study.training.sgd import Images, Trained, optimizer, random, scheduler


def device() -> torch.device:
    """The GPU. Raises UserError when there is none."""
    if not torch.cuda.is_available():
        raise UserError("train.device = cuda: torch finds no NVIDIA GPU here; give cpu")
    return torch.device("cuda")


class Trainer:
    """As study.training.Trainer, with random numbers of the card's own.

    The same recipe is to give the same weights on the same card and software, and others elsewhere.
    """

    def __init__(
        self,
        network: nn.Sequential,
        train_set: Images,
        recipe: Recipe,
        on: torch.device | None = None,
    ) -> None:
        """Move everything to the card. A CPU as `on` does the same work step by step, for tests."""
        torch.use_deterministic_algorithms(True)
        self.on = on or device()
        self.network = network.to(self.on)
        self.images, self.labels = (tensor.to(self.on) for tensor in train_set)
        self.recipe = recipe
        self.optimizer = optimizer(self.network, recipe)
        # A captured graph reads the rate from the card, where the scheduler writes it.
        for group in self.optimizer.param_groups:
            group["lr"] = torch.tensor(recipe.learning_rate, device=self.on)
        self.scheduler = scheduler(self.optimizer, recipe, len(self.images))
        self.average = Average(self.network, recipe.ema_decay)
        self.result = self.average.network
        # What a captured graph reads and writes stays where it is.
        self.batch = torch.arange(recipe.batch_size, device=self.on)
        self.strength = torch.ones((), device=self.on)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.on)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.on)
        self.last_loss = torch.zeros((), device=self.on)
        self.graph = self.captured() if self.on.type == "cuda" else None

    def train(self, epoch: int) -> Trained:
        """Train on every image once. Raises UserError when the loss diverges."""
        torch.manual_seed(int(random(self.recipe, epoch, "cuda").generate_state(1)[0]))
        self.strength.fill_(self.recipe.strength(epoch))
        self.loss_sum.zero_()
        self.correct.zero_()
        order = torch.randperm(len(self.images), device=self.on)
        batches = torch.split(order, self.recipe.batch_size)
        for batch in batches:
            if self.graph and len(batch) == len(self.batch):
                self.batch.copy_(batch)
                self.graph.replay()
            else:
                self.optimizer.zero_grad()
                self.step(batch)
            self.scheduler.step()
        seen = len(self.images)
        loss = self.loss_sum.item() / seen
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is {loss} in epoch {epoch};"
                f" learning_rate = {self.recipe.learning_rate}, give a smaller one"
            )
        accuracy = 100 * self.correct.item() / seen
        return Trained(loss, accuracy, len(batches) - 1, self.last_loss.item())

    def step(self, batch: Tensor) -> None:
        """Take one step on the images whose numbers are in `batch`."""
        images, labels = normalise(self.images[batch]), self.labels[batch]
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
        """Capture one step. The steps that warm up for it leave no trace in the weights."""
        before = {key: value.clone() for key, value in self.network.state_dict().items()}
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.optimizer.zero_grad()
                self.step(self.batch)
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step(self.batch)
        self.network.load_state_dict(before)
        self.result.load_state_dict(before)
        for state in self.optimizer.state.values():
            state["momentum_buffer"].zero_()
        return graph


def augment(images: Tensor, recipe: Recipe, strength: Tensor) -> Tensor:
    """Change each image float32 [n, 1, h, w] as study.augmentation.augment does, in one go."""

    def draw(limit: float, *shape: int) -> Tensor:
        drawn = torch.empty(len(images), *shape, device=images.device).uniform_(-limit, limit)
        return strength * drawn

    angles, scales = torch.deg2rad(draw(recipe.rotation)), 1 + draw(recipe.scaling)
    shifts = draw(recipe.translation, 2)
    cosines, sines = angles.cos() / scales, angles.sin() / scales
    linear = torch.stack(
        [torch.stack([cosines, -sines], 1), torch.stack([sines, cosines], 1)], dim=1
    )
    # affine_grid and grid_sample count from -1 to 1 across the image.
    side = images.shape[-1]
    offsets = -2 / side * (linear @ shifts[:, :, None])
    grid = F.affine_grid(
        torch.cat([linear, offsets], dim=2), list(images.shape), align_corners=False
    )
    if recipe.elastic:
        pulls = draw(recipe.elastic, 2, CONTROL_POINTS, CONTROL_POINTS)
        weights = torch.from_numpy(splines(side)).to(images)
        grid = grid + 2 / side * torch.einsum("yi,xj,ncij->nyxc", weights, weights, pulls)
    background = images.min()
    changed = F.grid_sample(
        images - background, grid, mode=recipe.interpolation, align_corners=False
    )
    return changed + background
