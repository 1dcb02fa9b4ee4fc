from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from study.base.errors import UserError
from study.page import network_export
from study.page.network_export import Layer
from tests.page.page_study import with_random_numbers

IMAGE = (1, 28, 28)


def compute(layer: Layer, maps: Tensor) -> Tensor:
    """Return a layer's output, as the page defines it, of maps float64 [n, channels, h, w]."""
    options = layer.options
    if layer.kind == "scale":
        scale, shift = (each.reshape(-1, 1, 1) for each in layer.numbers)
        return maps * scale + shift
    if layer.kind == "relu":
        return maps.clamp(min=0)
    if layer.kind == "convolution":
        weights, bias = layer.numbers
        stride, padding = options["stride"], options["padding"]
        dilation, groups = options["dilation"], options["groups"]
        return F.conv2d(maps, weights, bias, stride, padding, dilation, groups)
    kind = nn.MaxPool2d if layer.kind == "max_pool" else nn.AvgPool2d
    pooled: Tensor = kind(options["kernel"], options["stride"])(maps)
    return pooled


@pytest.mark.parametrize("name", models.names())
def test_export_computes_what_the_network_does(name: str) -> None:
    assert_same_function(with_random_numbers(name))


@pytest.mark.parametrize("missing", ["weight", "bias"])
def test_export_of_a_norm_without_gain_or_offset(missing: str) -> None:
    network = with_random_numbers("model_2")
    for module in network:
        if isinstance(module, nn.BatchNorm2d):
            module.register_parameter(missing, None)
    assert_same_function(network)


def assert_same_function(network: nn.Sequential) -> None:
    images = torch.randn(3, *IMAGE, dtype=torch.float64)
    with torch.inference_mode():
        expected = network.double()(images)
        found = images
        for layer in network_export.export("model", network).layers:
            found = compute(layer, found)
    torch.testing.assert_close(found.flatten(1), expected)


def test_export_folds_normalization_behind_convolutions_only() -> None:
    layers = network_export.export("model_2", with_random_numbers("model_2")).layers
    assert [each.kind for each in layers[:5]] == [
        *("convolution", "relu", "scale"),
        *("convolution", "convolution"),
    ]
    assert [each.normalized for each in layers[:5]] == [False, False, False, True, False]


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(2, 1, 3, stride=2)),
        nn.Sequential(nn.Conv2d(1, 2, 5, stride=2, padding=2), nn.Conv2d(2, 1, 3, dilation=2)),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(3, stride=2), nn.Conv2d(2, 1, 1)),
    ],
    ids=["padded", "dilated", "pooled"],
)
def test_field_is_the_pixels_that_a_place_depends_on(network: nn.Sequential) -> None:
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1)
    field = network_export.export("m", network).layers[-1].field
    # A ramp, and no negative weight: the gradient of max pooling reaches the last pixel only.
    image = torch.arange(28.0**2).reshape(1, *IMAGE).requires_grad_()
    output = network(image)
    y, x = output.shape[2] // 2, output.shape[3] // 2
    output[0, 0, y, x].backward()
    assert image.grad is not None
    rows, columns = (image.grad[0, 0] != 0).nonzero(as_tuple=True)
    for place, pixels in ((y, rows), (x, columns)):
        first = field.start + place * field.jump
        last = first + field.size - 1
        assert first <= int(pixels.min()) <= first + 1
        assert int(pixels.max()) == last


class MyReLU(nn.ReLU):
    """It might compute something else."""


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (MyReLU, "must be one that the page can compute, got MyReLU; use Conv2d, "),
        (nn.GELU, "must be one that the page can compute, got GELU; use Conv2d, "),
        (lambda: nn.Conv2d(1, 1, (3, 5)), r"kernel_size must be one number for both axes, got \(3"),
        (lambda: nn.Conv2d(1, 1, 3, padding="same"), "padding must be one number .*, got same"),
        (
            lambda: nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
            "padding_mode must be zeros, got reflect",
        ),
        (
            lambda: nn.BatchNorm2d(1, track_running_stats=False),
            "track_running_stats must be True, got False",
        ),
        (lambda: nn.MaxPool2d(2, padding=1), "padding must be 0, got 1"),
        (lambda: nn.MaxPool2d(2, dilation=2), "dilation must be 1, got 2"),
        (lambda: nn.AvgPool2d(2, ceil_mode=True), "ceil_mode must be False, got True"),
        (
            lambda: nn.AvgPool2d(2, divisor_override=3),
            "divisor_override must be None, got 3",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_export_refuses_what_the_page_cannot_compute(
    layer: Callable[[], nn.Module], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^models/m.py: layer 0.*{message}.*") as refused:
        network_export.export("m", nn.Sequential(layer()))
    assert "\n" not in str(refused.value)


def test_numbers_are_in_the_order_of_the_layers() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    numbers = network_export.export("m", network).numbers
    first, last = network[0], network[3]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert first.bias is not None
    np.testing.assert_array_equal(numbers[:18], first.weight.detach().numpy().reshape(-1))
    np.testing.assert_array_equal(numbers[18:20], first.bias.detach().numpy())
    np.testing.assert_array_equal(numbers[24:26], last.weight.detach().numpy().reshape(-1))
    assert len(numbers) == 18 + 2 + 2 + 2 + 2 + 1
