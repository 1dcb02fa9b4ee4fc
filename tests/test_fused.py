"""The fused pass against torch's own layers, in double precision and with the same masks."""

import copy
from collections.abc import Callable
from itertools import zip_longest

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models
from models.layers import conv
from study.training import fused, kernels

DROPOUT = 0.1


def lanes() -> kernels.Lanes:
    return kernels.lanes(np.random.SeedSequence(5))


def reference(network: nn.Sequential, x: Tensor, state: kernels.Lanes) -> Tensor:
    for layer, following in zip_longest(network, [*network][1:]):
        if isinstance(layer, nn.Dropout):
            pooled = following is not None and fused.is_usual_pool(following)
            x = x * mask(x, state, by_window=pooled) / (1 - DROPOUT)
        else:
            x = layer(x)
    return x


def mask(x: Tensor, state: kernels.Lanes, *, by_window: bool) -> Tensor:
    """The mask [n, c, h, w] that the fused pass draws; before pooling, window by window."""
    n, c, h, w = x.shape
    drawn = np.empty(n * c * (h // 2) * (w // 2) * 4 if by_window else x.numel(), np.uint8)
    kernels.draw_mask(state, round(DROPOUT * 65536), drawn)
    if not by_window:
        return torch.from_numpy(drawn).view(n, h, w, c).permute(0, 3, 1, 2)
    corners = torch.from_numpy(drawn).view(n, h // 2, 2, 2, w // 2, c)
    whole = torch.ones(n, c, h, w)  # a last odd row or column has no window, and no mask
    whole[:, :, : h // 2 * 2, : w // 2 * 2] = corners.permute(0, 5, 1, 2, 4, 3).reshape(
        n, c, h // 2 * 2, w // 2 * 2
    )
    return whole


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


def gradients(*networks: nn.Module) -> list[tuple[Tensor, ...]]:
    """Of each parameter, its gradient in each of the networks."""
    found = []
    for parameters in zip(*(network.parameters() for network in networks), strict=True):
        found.append(tuple(p.grad for p in parameters if p.grad is not None))
    assert all(len(each) == len(networks) for each in found)
    return found


ARRANGEMENTS: dict[str, Callable[[], list[nn.Module]]] = {
    "relu": lambda: [nn.ReLU()],
    "norm": lambda: [nn.BatchNorm2d(5)],
    "dropout": lambda: [nn.Dropout(DROPOUT)],
    "relu, norm": lambda: [nn.ReLU(), nn.BatchNorm2d(5)],
    "norm without gain": lambda: [nn.BatchNorm2d(5, affine=False)],
    "norm, relu": lambda: [nn.BatchNorm2d(5), nn.ReLU()],
    "pool": lambda: [nn.MaxPool2d(2)],
    "norm, pool": lambda: [nn.BatchNorm2d(5), nn.MaxPool2d(2)],
    "all": lambda: [nn.ReLU(), nn.BatchNorm2d(5), nn.Dropout(DROPOUT), nn.MaxPool2d(2)],
    # Sigmoid's gradient needs its output, which the next layers must leave as it is.
    "sigmoid, norm": lambda: [nn.Sigmoid(), nn.BatchNorm2d(5)],
    "sigmoid, norm, pool": lambda: [nn.Sigmoid(), nn.BatchNorm2d(5), nn.MaxPool2d(2)],
    # Windows of another kind are torch's.
    "relu, pool 3": lambda: [nn.ReLU(), nn.MaxPool2d(3)],
    "dropout, overlapping pool": lambda: [nn.Dropout(DROPOUT), nn.MaxPool2d(2, stride=1)],
}


@pytest.mark.parametrize("name", [*models.names(), *ARRANGEMENTS])
def test_equals_torch(name: str) -> None:
    torch.manual_seed(3)
    if name in ARRANGEMENTS:
        # 5 channels, 3 images, maps of 25x25: nothing divides by the width of a vector or a
        # stretch, and pooling leaves a row and a column over.
        layers = [conv(1, 5, 4), *ARRANGEMENTS[name](), conv(5, 10, 7), nn.AdaptiveAvgPool2d(1)]
        network = nn.Sequential(*layers, nn.Flatten())
    else:
        network = models.build(name, DROPOUT)
    for parameter in network.parameters():  # gains of 1 and offsets of 0 would hide mistakes
        nn.init.normal_(parameter, std=0.3)
    network = network.to(memory_format=torch.channels_last)
    exact, usual = copy.deepcopy(network).double(), copy.deepcopy(network)
    images = torch.randn(3, 1, 28, 28)

    logits = fused.forward(fused.fuse(network), images, lanes())
    expected = reference(exact, images.double(), lanes())
    assert distance(logits, expected) < 1e-5

    weights = torch.randn(logits.shape)
    (logits * weights).sum().backward()  # type: ignore[no-untyped-call]
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    (reference(usual, images, lanes()) * weights).sum().backward()  # type: ignore[no-untyped-call]
    # In a deep network, rounding alone moves torch's own gradients further than that.
    rounding = max(distance(*pair) for pair in gradients(usual, exact))
    for ours, theirs in gradients(network, exact):
        assert distance(ours, theirs) < max(1e-4, 2 * rounding)
    for running, exactly in zip(network.buffers(), exact.buffers(), strict=True):
        assert distance(running.double(), exactly.double()) < 1e-4


@pytest.mark.parametrize(
    ("convolution", "product"),
    [
        (nn.Conv2d(4, 6, 7), True),
        (nn.Conv2d(4, 6, (7, 5)), False),
        (nn.Conv2d(4, 6, 7, padding=1), False),
        (nn.Conv2d(4, 6, 7, padding="same"), False),
        (nn.Conv2d(4, 8, 7, groups=4), False),
    ],
)
def test_a_window_as_large_as_the_map(convolution: nn.Conv2d, product: bool) -> None:
    torch.manual_seed(3)
    x = torch.randn(3, 4, 7, 7)
    assert fused.is_product(convolution, x) is product
    result = fused.forward([convolution], x, lanes())
    assert distance(result, convolution(x)) < 1e-5


def test_each_lane_is_numpys_generator() -> None:
    state = lanes()
    masks = np.empty(3 * kernels.DRAWS, np.uint8)
    kernels.draw_mask(state, 6554, masks)
    children = np.random.SeedSequence(5).spawn(kernels.LANES)
    words = np.stack([np.random.SFC64(child).random_raw(3) for child in children], axis=1)
    assert np.array_equal(masks, words.view(np.uint16).reshape(-1) >= 6554)


def test_the_highest_probability_drops_almost_all() -> None:
    assert fused.draw(10_000, 0.999999, lanes()).sum() < 10


@pytest.mark.parametrize("probability", [0.0, 0.075, 0.1, 0.5])
def test_masks_drop_as_often_as_asked(probability: float) -> None:
    mask = np.empty(1_000_000, np.uint8)
    kernels.draw_mask(lanes(), round(probability * 65536), mask)
    assert set(np.unique(mask)) <= {0, 1}
    deviation = np.sqrt(probability * (1 - probability) / mask.size)
    assert abs(1 - mask.mean() - probability) <= 4 * deviation + 1 / 65536


def test_masks_go_on_from_where_they_were() -> None:
    state = lanes()
    first, second = np.empty(1000, np.uint8), np.empty(1000, np.uint8)
    kernels.draw_mask(state, 30000, first)
    kernels.draw_mask(state, 30000, second)
    assert not np.array_equal(first, second)


def test_without_dropout_no_number_is_drawn() -> None:
    state = lanes()
    before = state.copy()
    fused.forward(fused.fuse(models.build("model_2", 0.0)), torch.zeros(2, 1, 28, 28), state)
    assert np.array_equal(state, before)
