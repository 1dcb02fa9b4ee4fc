"""The engine's step against PyTorch in double precision: all models, and other networks."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import nn

import models
from study.engine import Engine, rng_state, unsupported_reason
from tests.engine.reference import digits, distance, disturb, errors, forward, maxima, normalized

DROPOUT = 0.125
TIMES_PYTORCH = 10
"""Largest error of the engine, in units of PyTorch's own error in float32.

Winograd's algorithm rounds more than direct convolution: in Model 3, errors of z are about five
times as large. That can change a sign before a ReLU, or a maximum.
"""

pytestmark = pytest.mark.xdist_group("engine")


def for_each(names: Iterable[str]) -> pytest.MarkDecorator:
    """Run a test for Models 3 and 6 with the fast tests, for other models with the slow ones."""
    quick = ("model_3", "model_6")
    return pytest.mark.parametrize(
        "name",
        [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names],
    )


def check(network: nn.Sequential, n: int) -> None:
    """Compare loss, gradients, running statistics and evaluation."""
    assert unsupported_reason(network) is None
    disturb(network)
    engine = Engine(network, n)
    found = errors(network, engine, n)
    assert max(found.values()) < TIMES_PYTORCH, found

    weights = engine.weights()
    assert {k: v.shape for k, v in weights.items()} == {
        k: tuple(v.shape) for k, v in network.state_dict().items()
    }
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    images, _ = digits(n + 2, 9)
    with torch.inference_mode():
        expected = network.double().eval()(normalized(images, torch.float64))
    assert distance(torch.from_numpy(engine.logits(images)), expected) < 1e-5


@for_each(models.names())
def test_step_of_a_model_matches_pytorch(name: str) -> None:
    torch.manual_seed(1)
    check(models.build(name, DROPOUT), 37)


def conv(a: int, b: int, kernel: int, **options: int | bool | str) -> nn.Conv2d:
    return nn.Conv2d(a, b, kernel, **{"bias": False, **options})  # type: ignore[arg-type]


def depthwise(channels: int, kernel: int, padding: int = 0) -> nn.Conv2d:
    return conv(channels, channels, kernel, padding=padding, groups=channels)


def without_offset(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    norm.register_parameter("bias", None)
    return norm


RELU = nn.ReLU()
"""A network may have the same layer several times, if it has no weights."""


def drop() -> nn.Dropout:
    return nn.Dropout(DROPOUT)


NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {
    "one layer": lambda: [conv(1, 10, 28)],
    "bias": lambda: [
        conv(1, 5, 3, bias=True), nn.ReLU(), conv(5, 9, 3, bias=True), nn.BatchNorm2d(9),
        nn.AvgPool2d(24), conv(9, 10, 1, bias=True),
    ],
    "5x5 with padding": lambda: [
        conv(1, 6, 5, padding=2), nn.ReLU(), nn.BatchNorm2d(6), nn.MaxPool2d(2),
        conv(6, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), conv(12, 10, 7),
    ],
    "first 1x1": lambda: [conv(1, 3, 1), nn.BatchNorm2d(3), nn.MaxPool2d(2), conv(3, 10, 14)],
    "first padded": lambda: [conv(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(4, 10, 14)],
    "odd maps": lambda: [
        conv(1, 4, 2), nn.ReLU(), nn.BatchNorm2d(4), drop(), nn.MaxPool2d(2), conv(4, 8, 3),
        nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.AvgPool2d(2), conv(8, 10, 2),
    ],
    "norm, relu": lambda: [
        conv(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        drop(), nn.MaxPool2d(2), conv(8, 9, 1), nn.BatchNorm2d(9), nn.ReLU(), drop(),
        conv(9, 10, 12),
    ],
    "norms without gain and offset": lambda: [
        conv(1, 8, 3), nn.BatchNorm2d(8, affine=False), nn.ReLU(), conv(8, 9, 3, bias=True),
        nn.ReLU(), nn.BatchNorm2d(9, affine=False), nn.MaxPool2d(2), conv(9, 10, 12),
    ],
    "norm without offset": lambda: [
        conv(1, 8, 3), without_offset(nn.BatchNorm2d(8)), nn.ReLU(), conv(8, 10, 26),
    ],
    "norm, pool, relu": lambda: [
        conv(1, 8, 3), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.ReLU(), drop(), conv(8, 10, 13),
    ],
    "pool, norm": lambda: [
        conv(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU(), drop(),
        conv(8, 10, 13), nn.BatchNorm2d(10),
    ],
    "dropout, relu, dropout": lambda: [
        conv(1, 8, 3), drop(), nn.ReLU(), drop(), nn.MaxPool2d(2), drop(),
        conv(8, 10, 13), nn.ReLU(),
    ],
    "two norms, two pools": lambda: [
        conv(1, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.MaxPool2d(2),
        nn.AvgPool2d(3), conv(8, 10, 2),
    ],
    "depthwise 5x5 and padding": lambda: [
        conv(1, 12, 3), nn.ReLU(), depthwise(12, 5, 2), nn.BatchNorm2d(12), depthwise(12, 3, 3),
        nn.ReLU(), nn.MaxPool2d(2), depthwise(12, 15), conv(12, 10, 1),
    ],
    "1x1 with bias": lambda: [
        conv(1, 5, 3), nn.BatchNorm2d(5), conv(5, 9, 1, bias=True), nn.ReLU(), nn.BatchNorm2d(9),
        conv(9, 10, 26, bias=True),
    ],
    "1x1 with padding": lambda: [conv(1, 3, 3), conv(3, 5, 1, padding=2), conv(5, 10, 30)],
    "wide padding": lambda: [
        conv(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), conv(3, 5, 3, padding=6), nn.AvgPool2d(23),
        conv(5, 10, 1),
    ],
    "very wide padding": lambda: [
        conv(1, 3, 1), nn.ReLU(), nn.MaxPool2d(2), conv(3, 5, 3, padding=180),
        nn.AvgPool2d(372), conv(5, 10, 1),
    ],
    "one channel between": lambda: [conv(1, 1, 3), nn.ReLU(), conv(1, 7, 3), conv(7, 10, 24)],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_step_of_another_network_matches_pytorch(name: str) -> None:
    torch.manual_seed(2)
    check(another(name), 5)


def another(name: str) -> nn.Sequential:
    """Build one of NETWORKS."""
    return nn.Sequential(*NETWORKS[name](), nn.Flatten())


def layer(kind: str, channels: int) -> nn.Module:
    """Return a ReLU, norm, fixed norm, dropout, max or average pooling, by its initial."""
    if kind in "nf":
        return nn.BatchNorm2d(channels, eps=0.01, momentum=0.3, affine=kind == "n")
    if kind == "d":
        return drop()
    return RELU if kind == "r" else nn.AvgPool2d(2) if kind == "a" else nn.MaxPool2d(2)


def random_layers(draw: np.random.Generator) -> list[nn.Module]:
    """Draw layers that the engine supports, in any order that shapes allow."""
    layers: list[nn.Module] = []
    size, channels = 28, 1
    for index in range(draw.integers(1, 6)):
        kernel = int(draw.choice([k for k in (3, 3, 1, 5, 2, 4) if k <= size]))
        padding = int(draw.integers(3)) if size <= 26 else 0
        named = "same" if kernel % 2 and 2 * padding == kernel - 1 else padding or "valid"
        bias = bool(draw.integers(2))
        after, groups = int(draw.integers(1, 21)), 1
        if index and draw.integers(4) == 0:
            after, groups = channels, channels
        layers.append(conv(channels, after, kernel, padding=named, groups=groups, bias=bias))
        size, channels = size + 2 * padding - kernel + 1, after
        for kind in draw.choice([*"rnnfdma"], draw.integers(6)):
            if size < 4:
                break
            layers.append(layer(kind, channels))
            size = size // 2 if kind in "ma" else size
        if size < 4:
            break
    layers.append(conv(channels, 10, size, bias=bool(draw.integers(2))))
    return layers


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed < 3 else pytest.mark.slow) for seed in range(25)]
)
def test_step_of_a_random_network_matches_pytorch(seed: int) -> None:
    draw = np.random.Generator(np.random.SFC64(seed))
    torch.manual_seed(4)
    network = nn.Sequential(*random_layers(draw), nn.Flatten())
    for layer in network:  # with the usual weights and no norm, activations and gradients vanish
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.mul_(2)
    check(network, int(draw.integers(2, 10)))


@for_each(["model_1", "model_3", "model_4", "model_6", "bias"])
def test_ten_steps_match_the_plain_loop(name: str) -> None:
    """With momentum, weight decay, EMA, and a last batch that is smaller.

    The plain loop takes the engine's maxima in pooling. In step 3 of Model 3, two pixels of a
    window differ by less than rounding errors. With its own maxima, the loop takes the other one,
    and the weights differ by 1e-2 after ten steps; with the engine's, by 5e-6.
    """
    torch.manual_seed(1)
    network = another(name) if name in NETWORKS else models.build(name, 0.0)
    engine = Engine(network, 16, ema_decay=0.75)
    twin = network.double()
    average = {key: value.clone() for key, value in twin.state_dict().items()}
    groups = [
        {
            "params": [p for p in twin.parameters() if (p.ndim == 4) == decayed],
            "weight_decay": decay,
        }
        for decayed, decay in ((True, 1e-3), (False, 0.0))
    ]
    optimizer = torch.optim.SGD(groups, lr=0.02, momentum=0.9)
    state = rng_state(np.random.SeedSequence(1))
    for batch in range(10):
        images, labels = digits(16 if batch < 9 else 7, batch)
        loss_sum, correct = engine.step(images, labels, state, 0.02, 0.9, 1e-3)
        chosen = maxima(engine, len(labels))
        logits = forward(twin, normalized(images, torch.float64), [], chosen)
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for key, value in twin.state_dict().items():
            if value.is_floating_point():
                average[key].lerp_(value, 0.25)
        assert loss_sum / len(labels) == pytest.approx(float(loss.detach()), rel=1e-3)
        assert correct == int((logits.argmax(1) == torch.from_numpy(labels)).sum())
    for name_, value in engine.named(engine.values).items():
        assert distance(torch.from_numpy(value), twin.state_dict()[name_], 1e-2) < 1e-4
    for name_, value in engine.weights().items():
        if value.ndim:
            assert distance(torch.from_numpy(value), average[name_], 1e-2) < 1e-4
