"""A network's forward pass for training on a CPU, with all that follows a convolution fused.

`forward` computes what `network(images)` computes in training mode, gradients and running
statistics included. But each run of [ReLU] [BatchNorm2d] [Dropout] [MaxPool2d(2)] is one step, made
of `study.kernels`, with dropout masks from a generator that is handed in; and a convolution whose
window is the whole map is the matrix product that it amounts to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.training import kernels


@dataclass(frozen=True)
class Pointwise:
    """Layers that treat every pixel alike, and the pooling after them; each may be absent."""

    relu: bool
    norm: nn.BatchNorm2d | None
    dropout: float
    pool: bool
    after_convolution: bool
    """Whether what comes in is a convolution's output, which nobody needs afterwards."""

    @cached_property
    def floor(self) -> np.float32:
        """What the kernels cut values off at."""
        return np.float32(0 if self.relu else -np.inf)


Step = nn.Module | Pointwise


def forward(steps: Iterable[Step], images: Tensor, lanes: kernels.Lanes) -> Tensor:
    """Return logits [n, 10] of images float32 [n, 1, 28, 28], in training mode.

    `steps` are the network's, from `fuse`. `lanes` is the state of the generators behind the
    dropout masks, and is advanced.
    """
    x = images.contiguous(memory_format=torch.channels_last)
    for step in steps:
        if isinstance(step, Pointwise):
            norm = step.norm
            weight, bias = (norm.weight, norm.bias) if norm else (None, None)
            x = PointwiseFunction.apply(x, weight, bias, step, lanes)
        elif isinstance(step, nn.Conv2d) and is_product(step, x):
            maps, windows = (t.permute(0, 2, 3, 1).flatten(1) for t in (x, step.weight))
            x = F.linear(maps, windows, step.bias)[:, :, None, None]
        else:
            x = step(x)
    return x


def is_product(convolution: nn.Conv2d, x: Tensor) -> bool:
    """Whether the window is the whole map [n, c, h, w]."""
    return (
        x.shape[2:] == convolution.kernel_size
        and convolution.padding == (0, 0)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
    )


def fuse(network: nn.Sequential) -> Iterator[Step]:
    """Yield the layers in order, with each run of pointwise layers as one."""
    layers = [*network]
    after_convolution = False
    while layers:
        relu = isinstance(layers[0], nn.ReLU)
        rest = layers[relu:]
        norm = rest[0] if rest and is_usual_norm(rest[0]) else None
        rest = rest[norm is not None :]
        dropout = rest[0] if rest and isinstance(rest[0], nn.Dropout) else None
        rest = rest[dropout is not None :]
        pool = bool(rest) and is_usual_pool(rest[0])
        rest = rest[pool:]
        if len(rest) == len(layers):
            yield layers[0]
            after_convolution = isinstance(layers[0], nn.Conv2d)
            layers = layers[1:]
        else:
            yield Pointwise(relu, norm, dropout.p if dropout else 0.0, pool, after_convolution)
            after_convolution = False
            layers = rest


def is_usual_norm(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a layer is batch normalisation as it usually is; torch does the other kinds."""
    return (
        isinstance(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.track_running_stats
        and layer.momentum is not None
    )


def is_usual_pool(layer: nn.Module) -> bool:
    """Whether a layer takes the maximum of each 2x2 window; torch does the other kinds."""
    return isinstance(layer, nn.MaxPool2d) and repr(layer) == repr(nn.MaxPool2d(2))


class PointwiseFunction(torch.autograd.Function):
    """ReLU, batch normalisation (Ioffe & Szegedy 2015), dropout and pooling, with gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        step: Pointwise,
        lanes: kernels.Lanes,
    ) -> Tensor:
        """Take x [n, c, h, w] to the same shape, or to [n, c, h // 2, w // 2], channels last."""
        x = x.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = x.shape
        mean, deviation = np.zeros(channels), np.ones(channels)
        gain, offset = np.ones(channels), np.zeros(channels)
        if step.norm and weight is not None and bias is not None:
            mean, variance = kernels.moments(flat(x), channels, step.floor)
            deviation = np.sqrt(variance + step.norm.eps)
            gain, offset = double(weight), double(bias)
            track(step.norm, mean, variance, x.numel() // channels)

        scale = gain / deviation
        factor = 1 / (1 - step.dropout)
        line = single(factor * scale), single(factor * (offset - scale * mean)), step.floor
        # What the gradient needs to know: of each element of y, the max(x, floor) that it comes
        # from, whether that was kept, and where in its window it stood.
        if step.pool:
            y = channels_last(n, channels, height // 2, width // 2)
            mask = draw(4 * y.numel(), step.dropout, lanes)
            largest = np.empty(y.numel(), np.float32)
            corner, kept = np.empty(y.numel(), np.uint8), np.empty(y.numel(), np.uint8)
            kernels.transform_and_pool(
                flat(x), mask, *line, height, width, flat(y), largest, corner, kept
            )
            ctx.saved = x, step, mean, deviation, scale, factor, largest, kept, corner
        else:
            y = torch.empty_like(x)
            mask = draw(y.numel(), step.dropout, lanes)
            kernels.transform(flat(x), mask, *line, flat(y))
            ctx.saved = x, step, mean, deviation, scale, factor, flat(x), mask, None
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias."""
        x, step, mean, deviation, scale, factor, largest, kept, corner = ctx.saved
        gradient = flat(gradients[0].contiguous(memory_format=torch.channels_last))
        _, channels, height, width = x.shape
        slope, shift = np.zeros(channels), np.zeros(channels)
        weight_gradient = bias_gradient = None
        if step.norm:
            sums, products = kernels.gradient_sums(largest, kept, gradient, channels, step.floor)
            of_bias = factor * sums
            of_weight = factor * (products - mean * sums) / deviation
            # With g the gradient of y and x^ = (x - mean) / deviation, the gradient of x is
            # scale * (g - mean of g - x^ * mean of g * x^): a line in x beside scale * g.
            rows = x.numel() // channels
            slope = -scale * of_weight / (rows * deviation)
            shift = -scale * of_bias / rows - slope * mean
            weight_gradient = torch.from_numpy(single(of_weight))
            bias_gradient = torch.from_numpy(single(of_bias))

        line = single(factor * scale), single(slope), single(shift), step.floor
        # The kernels work in place: that memory is in the cache. Other layers than a convolution
        # may still need their output for their own gradient.
        x = x if step.after_convolution else x.clone()
        if step.pool:
            kernels.gradient_transform_and_unpool(
                flat(x), corner, kept, gradient, *line, height, width
            )
        else:
            kernels.gradient_transform(flat(x), kept, gradient, *line)
        return x, weight_gradient, bias_gradient, None, None


def draw(size: int, dropout: float, lanes: kernels.Lanes) -> kernels.Bytes:
    """Draw a mask: 0 with probability `dropout`, in steps of 1 / 65,536, else 1."""
    if not dropout:
        return np.ones(size, np.uint8)
    mask = np.empty(size, np.uint8)
    kernels.draw_mask(lanes, min(round(dropout * 65536), 65535), mask)
    return mask


def track(
    norm: nn.BatchNorm2d, mean: kernels.Doubles, variance: kernels.Doubles, rows: int
) -> None:
    """Move the running statistics towards the batch's, as nn.BatchNorm2d does."""
    # is_usual_norm has seen to it.
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(torch.from_numpy(single(mean)), norm.momentum)
    unbiased = variance * rows / (rows - 1)
    norm.running_var.lerp_(torch.from_numpy(single(unbiased)), norm.momentum)
    norm.num_batches_tracked += 1


def flat(tensor: Tensor) -> kernels.Floats:
    """View [n, c, h, w] in channels-last memory as one row of n * h * w * c numbers."""
    array: kernels.Floats = tensor.permute(0, 2, 3, 1).view(-1).numpy()
    return array


def channels_last(n: int, c: int, h: int, w: int) -> Tensor:
    """Return an empty float32 tensor [n, c, h, w] in channels-last memory."""
    return torch.empty(n, h, w, c).permute(0, 3, 1, 2)


def single(values: kernels.Doubles) -> kernels.Floats:
    """Round to single precision."""
    return values.astype(np.float32)


def double(tensor: Tensor) -> kernels.Doubles:
    """Take a parameter to double precision."""
    return tensor.detach().numpy().astype(np.float64)
