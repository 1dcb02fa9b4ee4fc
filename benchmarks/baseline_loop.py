"""A plain PyTorch loop, in the style of PyTorch's MNIST example (github.com/pytorch/examples).

Images pass one by one through torchvision's transforms and a DataLoader; one process uses all
cores.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import models
from benchmarks import processes
from study.recipes.recipe import Recipe

Loader = Iterable[tuple[Tensor, Tensor]]


def train_transform(recipe: Recipe) -> transforms.Compose:
    """Return the augmentation of a recipe, followed by normalization."""
    if not recipe.augments:
        return test_transform()
    side = 28
    affine = transforms.RandomAffine(
        recipe.rotation,
        (recipe.translation / side, recipe.translation / side),
        (1 - recipe.scaling, 1 + recipe.scaling),
        interpolation=transforms.InterpolationMode(recipe.interpolation),
    )
    # torchvision smooths noise instead of interpolating a grid of displacements. With these values
    # the displacements are about as large.
    elastic = [transforms.ElasticTransform(11 * recipe.elastic, 4.0)] if recipe.elastic else []
    return transforms.Compose([affine, *elastic, *test_transform().transforms])


def test_transform() -> transforms.Compose:
    """Return the normalization to mean 0 and variance 1 over the training set."""
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])


def train(
    network: nn.Module,
    loader: Loader,
    optimizer: optim.Optimizer,
    scheduler: optim.lr_scheduler.LRScheduler | None = None,
    average: optim.swa_utils.AveragedModel | None = None,
) -> tuple[float, float]:
    """Train on every batch; return the last batch's loss, and the accuracy in percent."""
    network.train()
    seen, correct = 0, 0
    for data, target in loader:
        optimizer.zero_grad()
        output = F.log_softmax(network(data), dim=1)
        loss = F.nll_loss(output, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if scheduler:
            scheduler.step()
        if average:
            average.update_parameters(network)
        correct += int(output.argmax(dim=1).eq(target).sum())
        seen += len(data)
    return loss.item(), 100 * correct / seen


def test(network: nn.Module, loader: Loader) -> tuple[float, float]:
    """Return the mean loss, and the accuracy in percent."""
    network.eval()
    seen, loss, correct = 0, 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = F.log_softmax(network(data), dim=1)
            loss += F.nll_loss(output, target, reduction="sum").item()
            correct += int(output.argmax(dim=1).eq(target).sum())
            seen += len(data)
    return loss / seen, 100 * correct / seen


def mnist(raw: Path, train: bool, transform: transforms.Compose) -> datasets.MNIST:
    """Return the data set in a folder of raw files, read by torchvision from a link MNIST/raw."""
    with TemporaryDirectory() as root:
        folder = Path(root, "MNIST")
        folder.mkdir()
        (folder / "raw").symlink_to(raw.resolve())
        return datasets.MNIST(root, train=train, transform=transform)


def build(
    model: str, recipe: Recipe, steps_per_epoch: int
) -> tuple[
    nn.Module,
    optim.Optimizer,
    optim.lr_scheduler.LRScheduler | None,
    optim.swa_utils.AveragedModel | None,
]:
    """Return a network with its optimizer, and its scheduler and EMA if the recipe has them."""
    network = models.build(model, recipe.dropout)
    optimizer = optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    scheduler = average = None
    if recipe.scheduler == "one_cycle":
        scheduler = optim.lr_scheduler.OneCycleLR(
            optimizer,
            recipe.learning_rate,
            epochs=recipe.epochs,
            steps_per_epoch=steps_per_epoch,
            pct_start=recipe.warmup_fraction,
        )
    if recipe.ema_decay:
        average = optim.swa_utils.AveragedModel(
            network,
            multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(  # type: ignore[no-untyped-call]
                recipe.ema_decay
            ),
            use_buffers=True,
        )
    return network, optimizer, scheduler, average


def main(model: str, raw: Path, batches: int, recipe: Recipe) -> None:
    """Measure training on `batches` batches, and one test pass."""
    torch.manual_seed(recipe.seed)
    train_set = mnist(raw, True, train_transform(recipe))
    test_set = mnist(raw, False, test_transform())
    train_loader = DataLoader(train_set, batch_size=recipe.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=1000)
    network, optimizer, scheduler, average = build(model, recipe, len(train_loader))
    processes.report(
        lambda batches: train(
            network, islice(train_loader, batches), optimizer, scheduler, average
        ),
        lambda: test(average or network, test_loader),
        batches,
        torch.get_num_threads(),
    )


if __name__ == "__main__":
    main(*processes.arguments())
