"""The forward pass of training on a CPU, with the epilogue of each convolution fused.

`forward` computes what `network(images)` computes in training mode, including gradients and running
statistics, with two differences. Each run of [ReLU] [BatchNorm2d] [Dropout] [MaxPool2d(2)] is one
step, whose kernels are in kernels.py and whose dropout masks come from a given generator. And a
convolution whose window is the whole map is computed as a matrix product.
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
class FusedEpilogue:
    """A fused [ReLU] [BatchNorm2d] [Dropout] [MaxPool2d(2)]; each part is optional."""

    relu: bool
    norm: nn.BatchNorm2d | None
    dropout: float
    pool: bool
    after_convolution: bool
    """Whether the input is a convolution's output, which may be overwritten in place."""

    @cached_property
    def lower_clip(self) -> np.float32:
        """Lower bound of the input: 0 for ReLU, else minus infinity."""
        return np.float32(0 if self.relu else -np.inf)


Step = nn.Module | FusedEpilogue


def forward(steps: Iterable[Step], images: Tensor, rng_state: kernels.RngState) -> Tensor:
    """Return logits [n, 10] of images float32 [n, 1, 28, 28], in training mode.

    `steps`: of the network, from `fuse`. `rng_state`: of the dropout masks; it is advanced.
    """
    x = images.contiguous(memory_format=torch.channels_last)
    for step in steps:
        if isinstance(step, FusedEpilogue):
            norm = step.norm
            weight, bias = (norm.weight, norm.bias) if norm else (None, None)
            x = FusedEpilogueFunction.apply(x, weight, bias, step, rng_state)
        elif isinstance(step, nn.Conv2d) and is_fully_connected(step, x):
            maps, windows = (t.permute(0, 2, 3, 1).flatten(1) for t in (x, step.weight))
            x = F.linear(maps, windows, step.bias)[:, :, None, None]
        else:
            x = step(x)
    return x


def is_fully_connected(convolution: nn.Conv2d, x: Tensor) -> bool:
    """Return whether a convolution's window is its whole input x [n, c, h, w]."""
    return (
        x.shape[2:] == convolution.kernel_size
        and convolution.padding == (0, 0)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
    )


def fuse(network: nn.Sequential) -> Iterator[Step]:
    """Yield the layers in order, with each epilogue as one step."""
    layers = [*network]
    after_convolution = False
    while layers:
        relu = isinstance(layers[0], nn.ReLU)
        rest = layers[relu:]
        norm = rest[0] if rest and is_standard_batch_norm(rest[0]) else None
        rest = rest[norm is not None :]
        dropout = rest[0] if rest and isinstance(rest[0], nn.Dropout) else None
        rest = rest[dropout is not None :]
        pool = bool(rest) and is_2x2_max_pool(rest[0])
        rest = rest[pool:]
        if len(rest) == len(layers):
            yield layers[0]
            after_convolution = isinstance(layers[0], nn.Conv2d)
            layers = layers[1:]
        else:
            yield FusedEpilogue(relu, norm, dropout.p if dropout else 0.0, pool, after_convolution)
            after_convolution = False
            layers = rest


def is_standard_batch_norm(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Return whether a layer is batch normalization of the usual kind; torch runs the others."""
    return (
        isinstance(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.track_running_stats
        and layer.momentum is not None
    )


def is_2x2_max_pool(layer: nn.Module) -> bool:
    """Return whether a layer is MaxPool2d(2); torch runs the other kinds of pooling."""
    return isinstance(layer, nn.MaxPool2d) and repr(layer) == repr(nn.MaxPool2d(2))


class FusedEpilogueFunction(torch.autograd.Function):
    """The FusedEpilogue with its gradient; batch normalization as in Ioffe & Szegedy 2015."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        step: FusedEpilogue,
        rng_state: kernels.RngState,
    ) -> Tensor:
        """Return the output for x [n, c, h, w]; pooling halves h and w, rounded down."""
        x = x.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = x.shape
        mean, std = np.zeros(channels), np.ones(channels)
        gain, offset = np.ones(channels), np.zeros(channels)
        if step.norm and weight is not None and bias is not None:
            mean, variance = kernels.batch_stats(flat(x), channels, step.lower_clip)
            std = np.sqrt(variance + step.norm.eps)
            gain, offset = double(weight), double(bias)
            update_running_stats(step.norm, mean, variance, x.numel() // channels)

        scale = gain / std
        factor = 1 / (1 - step.dropout)
        affine = single(factor * scale), single(factor * (offset - scale * mean)), step.lower_clip
        # The gradient needs, for each element of y: the max(x, lower_clip) that it comes from, its
        # dropout mask, and its place in the window.
        if step.pool:
            y = channels_last(n, channels, height // 2, width // 2)
            mask = draw(4 * y.numel(), step.dropout, rng_state)
            largest = np.empty(y.numel(), np.float32)
            argmax, kept = np.empty(y.numel(), np.uint8), np.empty(y.numel(), np.uint8)
            kernels.transform_and_pool(
                flat(x), mask, *affine, height, width, flat(y), largest, argmax, kept
            )
            ctx.saved = x, step, mean, std, scale, factor, largest, kept, argmax
        else:
            y = torch.empty_like(x)
            mask = draw(y.numel(), step.dropout, rng_state)
            kernels.transform(flat(x), mask, *affine, flat(y))
            ctx.saved = x, step, mean, std, scale, factor, flat(x), mask, None
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias."""
        x, step, mean, std, scale, factor, largest, kept, argmax = ctx.saved
        gradient = flat(gradients[0].contiguous(memory_format=torch.channels_last))
        _, channels, height, width = x.shape
        slope, shift = np.zeros(channels), np.zeros(channels)
        weight_gradient = bias_gradient = None
        if step.norm:
            sums, products = kernels.gradient_sums(
                largest, kept, gradient, channels, step.lower_clip
            )
            bias_sum = factor * sums
            weight_sum = factor * (products - mean * sums) / std
            # With g the gradient of y and x^ = (x - mean) / std, the gradient of x is
            # scale * (g - mean of g - x^ * mean of g * x^), that is scale * g + slope * x + shift.
            rows = x.numel() // channels
            slope = -scale * weight_sum / (rows * std)
            shift = -scale * bias_sum / rows - slope * mean
            weight_gradient = torch.from_numpy(single(weight_sum))
            bias_gradient = torch.from_numpy(single(bias_sum))

        affine = single(factor * scale), single(slope), single(shift), step.lower_clip
        # The kernels work in place because x is in the cache. Layers other than a convolution may
        # need their output for their own gradient.
        x = x if step.after_convolution else x.clone()
        if step.pool:
            kernels.gradient_transform_and_unpool(
                flat(x), argmax, kept, gradient, *affine, height, width
            )
        else:
            kernels.gradient_transform(flat(x), kept, gradient, *affine)
        return x, weight_gradient, bias_gradient, None, None


def draw(size: int, dropout: float, rng_state: kernels.RngState) -> kernels.Bytes:
    """Return a random mask: 0 with probability `dropout`, rounded to 1 / 65,536, else 1."""
    if not dropout:
        return np.ones(size, np.uint8)
    mask = np.empty(size, np.uint8)
    kernels.draw_mask(rng_state, min(round(dropout * 65536), 65535), mask)
    return mask


def update_running_stats(
    norm: nn.BatchNorm2d, mean: kernels.Doubles, variance: kernels.Doubles, rows: int
) -> None:
    """Update the running statistics of a layer, as nn.BatchNorm2d does."""
    # is_standard_batch_norm has checked these; they are for mypy.
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(torch.from_numpy(single(mean)), norm.momentum)
    unbiased = variance * rows / (rows - 1)
    norm.running_var.lerp_(torch.from_numpy(single(unbiased)), norm.momentum)
    norm.num_batches_tracked += 1


def flat(tensor: Tensor) -> kernels.Floats:
    """Return a flat view [n * h * w * c] of a tensor [n, c, h, w] in channels-last memory."""
    array: kernels.Floats = tensor.permute(0, 2, 3, 1).view(-1).numpy()
    return array


def channels_last(n: int, c: int, h: int, w: int) -> Tensor:
    """Return an empty float32 tensor [n, c, h, w] in channels-last memory."""
    return torch.empty(n, h, w, c).permute(0, 3, 1, 2)


def single(values: kernels.Doubles) -> kernels.Floats:
    """Return values rounded to single precision."""
    return values.astype(np.float32)


def double(tensor: Tensor) -> kernels.Doubles:
    """Return a parameter in double precision."""
    return tensor.detach().numpy().astype(np.float64)
