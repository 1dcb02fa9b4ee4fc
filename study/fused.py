"""A network's forward pass for training on a CPU, with ReLU, batch norm and dropout fused.

`forward` computes what `network(images)` computes in training mode, gradients and running
statistics included, but walks each run of [ReLU] [BatchNorm2d] [Dropout] in one step of
`study.kernels`, with dropout masks from a generator that is handed in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from study import kernels


@dataclass(frozen=True)
class Pointwise:
    """A run of layers that treat every pixel alike; each may be absent."""

    relu: bool
    norm: nn.BatchNorm2d | None
    dropout: float

    @property
    def floor(self) -> np.float32:
        """What the kernels cut values off at."""
        return np.float32(0 if self.relu else -np.inf)


def forward(network: nn.Sequential, images: Tensor, lanes: kernels.Lanes) -> Tensor:
    """Return logits [n, 10] of images float32 [n, 1, 28, 28], in training mode.

    `lanes` is the state of the generators behind the dropout masks, and is advanced.
    """
    x = images.contiguous(memory_format=torch.channels_last)
    for step in fuse(network):
        if isinstance(step, Pointwise):
            norm = step.norm
            weight, bias = (norm.weight, norm.bias) if norm else (None, None)
            x = PointwiseFunction.apply(x, weight, bias, step, lanes)
        else:
            x = step(x)
    return x


def fuse(network: nn.Sequential) -> Iterator[nn.Module | Pointwise]:
    """Yield the layers in order, with each run of pointwise layers as one."""
    layers = [*network]
    while layers:
        relu = isinstance(layers[0], nn.ReLU)
        rest = layers[relu:]
        norm = rest[0] if rest and fusible(rest[0]) else None
        rest = rest[norm is not None :]
        dropout = rest[0] if rest and isinstance(rest[0], nn.Dropout) else None
        rest = rest[dropout is not None :]
        if len(rest) == len(layers):
            yield layers[0]
            layers = layers[1:]
        else:
            yield Pointwise(relu, norm, dropout.p if dropout else 0.0)
            layers = rest


def fusible(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a layer is batch normalisation as it usually is; torch does the other kinds."""
    return (
        isinstance(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.track_running_stats
        and layer.momentum is not None
    )


class PointwiseFunction(torch.autograd.Function):
    """ReLU, batch normalisation (Ioffe & Szegedy 2015) and dropout, with their gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        step: Pointwise,
        lanes: kernels.Lanes,
    ) -> Tensor:
        """Take x [n, c, h, w] to the same shape, channels last."""
        x = x.contiguous(memory_format=torch.channels_last)
        mask = np.ones(x.numel(), np.uint8)
        if step.dropout:
            kernels.draw_mask(lanes, round(step.dropout * 65536), mask)
        channels = x.shape[1]
        mean, deviation = np.zeros(channels), np.ones(channels)
        gain, offset = np.ones(channels), np.zeros(channels)
        if step.norm and weight is not None and bias is not None:
            mean, variance = kernels.moments(flat(x), channels, step.floor)
            deviation = np.sqrt(variance + step.norm.eps)
            gain, offset = double(weight), double(bias)
            track(step.norm, mean, variance, x.numel() // channels)

        scale = gain / deviation
        kept = 1 / (1 - step.dropout)
        y = torch.empty_like(x)
        kernels.transform(
            flat(x),
            mask,
            single(kept * scale),
            single(kept * (offset - scale * mean)),
            step.floor,
            flat(y),
        )
        ctx.saved = x, mask, step, mean, deviation, scale, kept
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias."""
        x, mask, step, mean, deviation, scale, kept = ctx.saved
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        channels = x.shape[1]
        slope, shift = np.zeros(channels), np.zeros(channels)
        weight_gradient = bias_gradient = None
        if step.norm:
            sums, products = kernels.gradient_sums(
                flat(x), mask, flat(gradient), channels, step.floor
            )
            of_bias = kept * sums
            of_weight = kept * (products - mean * sums) / deviation
            # With g the gradient of y and x^ = (x - mean) / deviation, the gradient of x is
            # scale * (g - mean of g - x^ * mean of g * x^): a line in x beside scale * g.
            rows = x.numel() // channels
            slope = -scale * of_weight / (rows * deviation)
            shift = -scale * of_bias / rows - slope * mean
            weight_gradient = torch.from_numpy(single(of_weight))
            bias_gradient = torch.from_numpy(single(of_bias))

        result = torch.empty_like(x)
        kernels.gradient_transform(
            flat(x),
            mask,
            flat(gradient),
            single(kept * scale),
            single(slope),
            single(shift),
            step.floor,
            flat(result),
        )
        return result, weight_gradient, bias_gradient, None, None


def track(
    norm: nn.BatchNorm2d, mean: kernels.Doubles, variance: kernels.Doubles, rows: int
) -> None:
    """Move the running statistics towards the batch's, as nn.BatchNorm2d does."""
    state = norm.state_dict()  # the tensors themselves, not copies
    state["running_mean"].lerp_(torch.from_numpy(single(mean)), norm.momentum)
    unbiased = variance * rows / (rows - 1)
    state["running_var"].lerp_(torch.from_numpy(single(unbiased)), norm.momentum)
    state["num_batches_tracked"] += 1


def flat(tensor: Tensor) -> kernels.Floats:
    """View [n, c, h, w] in channels-last memory as one row of n * h * w * c numbers."""
    array: kernels.Floats = tensor.permute(0, 2, 3, 1).view(-1).numpy()
    return array


def single(values: kernels.Doubles) -> kernels.Floats:
    """Round to single precision."""
    return values.astype(np.float32)


def double(tensor: Tensor) -> kernels.Doubles:
    """Take a parameter to double precision."""
    return tensor.detach().numpy().astype(np.float64)
