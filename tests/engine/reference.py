"""The reference for the engine: PyTorch's layers in any precision, with the engine's masks."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.engine import Engine, rng_state
from study.engine.memory import Bytes, Labels
from study.engine.rng import RngState, draw_mask, threshold
from study.networks.inputs import MEAN, SD


def digits(n: int, seed: int = 3) -> tuple[Bytes, Labels]:
    """Return n images that are mostly black, like digits, and their labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    return images * (rng.random(images.shape) < 0.3), rng.integers(0, 10, n)


def disturb(network: nn.Module) -> None:
    """Change gains of 1 and offsets of 0, which would hide mistakes."""
    rng = torch.Generator().manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for parameter in layer.parameters():
                parameter.data.add_(torch.randn(parameter.shape, generator=rng), alpha=0.5)


def normalized(images: Bytes, dtype: torch.dtype) -> Tensor:
    x = torch.from_numpy(images)[:, None].to(dtype)
    return (x / 255 - MEAN) / SD


def masks(engine: Engine, n: int, state: RngState) -> list[Tensor]:
    """Return the dropout masks [n, c, h, w] that a step draws, in the order of the layers.

    They are drawn anew: those in the engine's memory are combined with the mask of a ReLU.
    """
    found = []
    for section, record in zip(engine.sections, engine.records, strict=True):
        if section.dropout:
            side = section.out if section.drop_last else section.size
            shape = n, side, side, int(record["channels"])
            drawn = np.empty(int(np.prod(shape)), np.uint8)
            draw_mask(state, threshold(section.dropout), drawn)
            kept = drawn.reshape(shape)[..., : section.channels]
            found.append(torch.from_numpy(kept.copy()).permute(0, 3, 1, 2))
    return found


def maxima(engine: Engine, n: int) -> list[Tensor]:
    """Return which pixel of each window was the maximum, int64 [n, c, h, w], of each pooling."""
    found = []
    for section, record in zip(engine.sections, engine.records, strict=True):
        if section.pooled:
            shape = n, section.out, section.out, int(record["channels"])
            start = int(record["corner"])
            corners = engine.bytes[start : start + int(np.prod(shape))].reshape(shape)
            found.append(torch.from_numpy(corners[..., : section.channels].astype(np.int64)))
    return [each.permute(0, 3, 1, 2) for each in found]


def forward(
    network: nn.Sequential, x: Tensor, drawn: list[Tensor], chosen: list[Tensor] | None = None
) -> Tensor:
    """Return the logits in training mode, with the engine's masks, and its `maxima` if given.

    Fails if a pixel that the engine chose is smaller than another one by more than rounding.
    """
    left, chosen_left = list(drawn), list(chosen or ())
    network.train()
    for layer in network:
        if isinstance(layer, nn.Dropout):
            if layer.p:
                x = x * left.pop(0).to(x.dtype) / (1 - layer.p)
        elif isinstance(layer, nn.MaxPool2d) and chosen:
            windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
            x = windows.gather(4, chosen_left.pop(0)[..., None])[..., 0]
            assert float((windows.amax(4) - x).detach().max()) < 1e-4
        else:
            x = layer(x)
    assert not left
    assert not chosen_left
    return x


def step(
    network: nn.Sequential, images: Bytes, labels: Labels, drawn: list[Tensor], dtype: torch.dtype
) -> tuple[Tensor, nn.Sequential]:
    """Return the loss, and a copy of the network with its gradients and new running statistics."""
    network = copy.deepcopy(network).to(dtype)
    # The number of threads decides how PyTorch divides its sums, and so how far they are off.
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    logits = forward(network, normalized(images, dtype), drawn)
    loss = F.cross_entropy(logits, torch.from_numpy(labels))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    return loss.detach(), network


def gradients(engine: Engine) -> dict[str, Tensor]:
    """Return the engine's gradients, by the names of the parameters."""
    return {
        p.name: torch.from_numpy(engine.gradient[engine.places[p.name][0]].copy()).view(p.shape)
        for p in engine.parameters
        if p.trained
    }


def distance(a: Tensor, b: Tensor, least: float = 1e-30) -> float:
    """Return |a - b| / |b|, where |b| counts as at least `least`."""
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).norm() / max(float(b.norm()), least))


def errors(network: nn.Sequential, engine: Engine, n: int) -> dict[str, float]:
    """Return the engine's error of the loss and of every gradient and running statistic.

    Errors are relative to a step in float64. The unit is 1e-5, or the error of PyTorch in float32
    if that is larger: of the same running statistic, or the largest one of a gradient. The norm of
    a gradient that is 0 except for rounding counts as 1% of the largest, and a mean of 0, as after
    a norm, counts as 0.01.
    """
    images, labels = digits(n)
    state = rng_state(np.random.SeedSequence(5))
    drawn = masks(engine, n, state.copy())
    loss_sum, _ = engine.step(images, labels, state, 0.0, 0.9)
    loss, exact = step(network, images, labels, drawn, torch.float64)
    _, usual = step(network, images, labels, drawn, torch.float32)
    found = {"loss": abs(loss_sum / n / float(loss) - 1) / 1e-5}
    ours, theirs = gradients(engine), dict(usual.named_parameters())
    least = 1e-2 * max(float(p.grad.norm()) for p in exact.parameters() if p.grad is not None)
    rounding = 1e-5
    for name, parameter in exact.named_parameters():
        assert parameter.grad is not None
        grad = theirs[name].grad
        assert grad is not None
        rounding = max(rounding, distance(grad, parameter.grad, least))
    for name, parameter in exact.named_parameters():
        assert parameter.grad is not None
        found[name] = distance(ours[name], parameter.grad, least) / rounding
    latest, usual_buffers = engine.named(engine.values), dict(usual.named_buffers())
    for name, buffer in exact.named_buffers():
        value = torch.from_numpy(latest[name])
        unit = max(1e-5, distance(usual_buffers[name], buffer, 1e-2))
        found[name] = distance(value, buffer, 1e-2) / unit if value.ndim else float(value != buffer)
    return found
