"""The fused forward pass against torch's own layers, in double precision, with the same masks."""

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


def rng_state() -> kernels.RngState:
    return kernels.rng_state(np.random.SeedSequence(5))


def reference(network: nn.Sequential, x: Tensor, state: kernels.RngState) -> Tensor:
    for layer, following in zip_longest(network, [*network][1:]):
        if isinstance(layer, nn.Dropout):
            pooled = following is not None and fused.is_2x2_max_pool(following)
            x = x * mask(x, state, by_window=pooled) / (1 - DROPOUT)
        else:
            x = layer(x)
    return x


def mask(x: Tensor, state: kernels.RngState, *, by_window: bool) -> Tensor:
    """Return the mask [n, c, h, w] that the fused pass draws; before pooling, window by window."""
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
    """Return, for each parameter, its gradient in each of the networks."""
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
    # Sigmoid's gradient needs its output, which the next layers must not overwrite.
    "sigmoid, norm": lambda: [nn.Sigmoid(), nn.BatchNorm2d(5)],
    "sigmoid, norm, pool": lambda: [nn.Sigmoid(), nn.BatchNorm2d(5), nn.MaxPool2d(2)],
    # Torch runs other kinds of pooling.
    "relu, pool 3": lambda: [nn.ReLU(), nn.MaxPool2d(3)],
    "dropout, overlapping pool": lambda: [nn.Dropout(DROPOUT), nn.MaxPool2d(2, stride=1)],
}


@pytest.mark.parametrize("name", [*models.names(), *ARRANGEMENTS])
def test_forward_and_gradients_equal_torch(name: str) -> None:
    torch.manual_seed(3)
    if name in ARRANGEMENTS:
        # 5 channels, 3 images, maps of 25x25: nothing divides by the width of a vector or a
        # chunk, and pooling leaves a row and a column over.
        layers = [conv(1, 5, 4), *ARRANGEMENTS[name](), conv(5, 10, 7), nn.AdaptiveAvgPool2d(1)]
        network = nn.Sequential(*layers, nn.Flatten())
    else:
        network = models.build(name, DROPOUT)
    for parameter in network.parameters():  # gains of 1 and offsets of 0 would hide mistakes
        nn.init.normal_(parameter, std=0.3)
    network = network.to(memory_format=torch.channels_last)
    exact, usual = copy.deepcopy(network).double(), copy.deepcopy(network)
    images = torch.randn(3, 1, 28, 28)

    logits = fused.forward(fused.fuse(network), images, rng_state())
    expected = reference(exact, images.double(), rng_state())
    assert distance(logits, expected) < 1e-5

    weights = torch.randn(logits.shape)
    (logits * weights).sum().backward()  # type: ignore[no-untyped-call]
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    (reference(usual, images, rng_state()) * weights).sum().backward()  # type: ignore[no-untyped-call]
    # In a deep network, rounding alone moves torch's own gradients further than that.
    rounding = max(distance(*pair) for pair in gradients(usual, exact))
    for ours, theirs in gradients(network, exact):
        assert distance(ours, theirs) < max(1e-4, 2 * rounding)
    for running, exactly in zip(network.buffers(), exact.buffers(), strict=True):
        assert distance(running.double(), exactly.double()) < 1e-4


@pytest.mark.parametrize(
    ("convolution", "fully_connected"),
    [
        (nn.Conv2d(4, 6, 7), True),
        (nn.Conv2d(4, 6, (7, 5)), False),
        (nn.Conv2d(4, 6, 7, padding=1), False),
        (nn.Conv2d(4, 6, 7, padding="same"), False),
        (nn.Conv2d(4, 8, 7, groups=4), False),
    ],
)
def test_convolution_with_a_window_as_large_as_the_map_is_fully_connected(
    convolution: nn.Conv2d, fully_connected: bool
) -> None:
    torch.manual_seed(3)
    x = torch.randn(3, 4, 7, 7)
    assert fused.is_fully_connected(convolution, x) is fully_connected
    result = fused.forward([convolution], x, rng_state())
    assert distance(result, convolution(x)) < 1e-5


def test_draw_mask_equals_numpys_sfc64() -> None:
    state = rng_state()
    masks = np.empty(3 * kernels.DRAWS_PER_ROUND, np.uint8)
    kernels.draw_mask(state, 6554, masks)
    children = np.random.SeedSequence(5).spawn(kernels.N_STREAMS)
    words = np.stack([np.random.SFC64(child).random_raw(3) for child in children], axis=1)
    assert np.array_equal(masks, words.view(np.uint16).reshape(-1) >= 6554)


def test_highest_dropout_drops_almost_all() -> None:
    assert fused.draw(10_000, 0.999999, rng_state()).sum() < 10


@pytest.mark.parametrize("probability", [0.0, 0.075, 0.1, 0.5])
def test_draw_mask_drops_with_the_given_probability(probability: float) -> None:
    mask = np.empty(1_000_000, np.uint8)
    kernels.draw_mask(rng_state(), round(probability * 65536), mask)
    assert set(np.unique(mask)) <= {0, 1}
    sd = np.sqrt(probability * (1 - probability) / mask.size)
    assert abs(1 - mask.mean() - probability) <= 4 * sd + 1 / 65536


def test_draw_mask_advances_the_state() -> None:
    state = rng_state()
    first, second = np.empty(1000, np.uint8), np.empty(1000, np.uint8)
    kernels.draw_mask(state, 30000, first)
    kernels.draw_mask(state, 30000, second)
    assert not np.array_equal(first, second)


def test_without_dropout_the_state_is_kept() -> None:
    state = rng_state()
    before = state.copy()
    fused.forward(fused.fuse(models.build("model_2", 0.0)), torch.zeros(2, 1, 28, 28), state)
    assert np.array_equal(state, before)
