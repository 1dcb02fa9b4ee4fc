"""A trained network as what the page computes with: a list of layers, and their numbers.

Batch normalization after training is a scale and a shift per channel: after a convolution, both go
into its weights; elsewhere, as after a ReLU, they stay a layer. The page's side of this format is
site/scripts/network.js.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from study.base.errors import UserError
from study.networks.receptive_field import Field, side

IGNORED = (nn.Dropout, nn.Identity, nn.Flatten)
"""Layers that do nothing after training, and the last one, which only reshapes."""
KNOWN = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, *IGNORED)
"""The layers that the page can compute; classes derived from them may compute something else."""


@dataclass(frozen=True)
class Layer:
    """A layer as the page needs it."""

    kind: str
    """convolution, scale, relu, max_pool or average_pool."""
    options: dict[str, int]
    """Channels, and the sizes of a window; all windows are square."""
    numbers: tuple[Tensor, ...]
    """What it learned, float64, in the order in which the page reads it."""
    field: Field
    normalized: bool = False
    """True for a convolution with batch normalization in its weights."""


@dataclass(frozen=True)
class Network:
    """A network as the page needs it."""

    layers: tuple[Layer, ...]

    @property
    def numbers(self) -> NDArray[np.float32]:
        """All numbers, layer by layer."""
        parts = [each.reshape(-1).numpy() for layer in self.layers for each in layer.numbers]
        return np.concatenate(parts).astype("<f4")

    def description(self) -> list[dict[str, Any]]:
        """Return the layers without their numbers, for JSON."""
        return [
            {
                "kind": each.kind,
                **each.options,
                "normalized": each.normalized,
                "field": asdict(each.field),
            }
            for each in self.layers
        ]


def export(model: str, network: nn.Sequential) -> Network:
    """Return a trained network as layers and numbers.

    Raises UserError for a layer, or an option of a layer, that the page cannot compute.
    """
    layers: list[Layer] = []
    field = Field()
    for index, module in enumerate(network):
        where = f"models/{model}.py: layer {index}"
        if type(module) not in KNOWN:
            known = ", ".join(kind.__name__ for kind in KNOWN)
            raise UserError(
                f"{where} must be one that the page can compute, got {type(module).__name__};"
                f" use {known}, or add it to study/page/network_export.py and"
                " study/page/site/scripts/layers.js"
            )
        if isinstance(module, IGNORED):
            continue
        where += f", {type(module).__name__}"
        if requirement := next(unmet(module), None):
            raise UserError(f"{where}: {requirement} for the page to compute it")
        if isinstance(module, nn.BatchNorm2d):
            scale, shift = affine(module)
            if layers and layers[-1].kind == "convolution":
                layers[-1] = folded(layers[-1], scale, shift)
                continue
            channels = {"channels": module.num_features}
            layers.append(Layer("scale", channels, (scale, shift), field))
        elif isinstance(module, nn.ReLU):
            layers.append(Layer("relu", {}, (), field))
        elif isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            options = {
                key.removesuffix("_size"): side(getattr(module, key, 1), where)
                for key in ("kernel_size", "stride", "padding", "dilation")
            }
            field = field.behind(**options)
            layers.append(window(module, options, field))
    return Network(tuple(layers))


def window(
    module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, options: dict[str, int], field: Field
) -> Layer:
    """Return a convolution or a pooling layer."""
    if not isinstance(module, nn.Conv2d):
        kind = "max_pool" if isinstance(module, nn.MaxPool2d) else "average_pool"
        return Layer(kind, options, (), field)
    channels = {
        "inputs": module.in_channels,
        "outputs": module.out_channels,
        "groups": module.groups,
    }
    weights = module.weight.detach().double()
    bias = (
        torch.zeros(module.out_channels, dtype=torch.float64)
        if module.bias is None
        else module.bias.detach().double()
    )
    return Layer("convolution", channels | options, (weights, bias), field)


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the scale and the shift of each channel that a trained batch normalization makes."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = 1 / torch.sqrt(variance.double() + norm.eps)
    shift = -mean.double() * scale
    parameters = {name: value.detach().double() for name, value in norm.named_parameters()}
    gain, offset = parameters.get("weight", 1), parameters.get("bias", 0)
    return scale * gain, shift * gain + offset


def folded(convolution: Layer, scale: Tensor, shift: Tensor) -> Layer:
    """Return a convolution with a scale and a shift of its output in its own numbers."""
    weights, bias = convolution.numbers
    numbers = weights * scale.reshape(-1, 1, 1, 1), bias * scale + shift
    return replace(convolution, numbers=numbers, normalized=True)


def unmet(module: nn.Module) -> Iterator[str]:
    """Yield what must be different about a layer."""
    if not getattr(module, "track_running_stats", True):
        yield "track_running_stats must be True, got False"
    for key in ("kernel_size", "stride", "padding", "dilation"):
        size = getattr(module, key, 1)
        if isinstance(size, str) or (not isinstance(size, int) and len(set(size)) != 1):
            yield f"{key} must be one number for both axes, got {size}"
    if isinstance(module, nn.Conv2d):
        if module.padding_mode != "zeros":
            yield f"padding_mode must be zeros, got {module.padding_mode}"
        return
    for key in ("padding", "ceil_mode"):
        value = getattr(module, key, 0)
        if any(value) if isinstance(value, tuple) else value:
            yield f"{key} must be {'0' if key == 'padding' else 'False'}, got {value}"
    if side(getattr(module, "dilation", 1), type(module).__name__) != 1:
        yield f"dilation must be 1, got {module.dilation}"
    if getattr(module, "divisor_override", None):
        yield f"divisor_override must be None, got {module.divisor_override}"
