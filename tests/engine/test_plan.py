"""Networks that the engine does not support."""

from collections.abc import Callable

import pytest
from torch import Tensor, nn
from torch.nn.utils import prune

from study.engine import unsupported_reason
from tests.engine.test_networks import conv


class Halved(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


class LastLayer(nn.Flatten):
    """Its forward could be another one."""


class Derived(nn.Sequential):
    """Its forward could be another one."""


def with_hook(network: nn.Sequential) -> nn.Sequential:
    network.register_forward_hook(lambda *_: None)
    return network


# By words of the reason; what is in parentheses keeps two of the same words apart.
REFUSED: dict[str, Callable[[], nn.Module]] = {
    "not nn.Flatten (nn.Linear)": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "not a flat": lambda: conv(1, 10, 28),
    "not nn.Flatten": lambda: nn.Sequential(conv(1, 10, 28)),
    "stride": lambda: nn.Sequential(conv(1, 10, 3, stride=2), nn.AvgPool2d(13), nn.Flatten()),
    "dilation": lambda: nn.Sequential(conv(1, 10, 3, dilation=2), nn.AvgPool2d(24), nn.Flatten()),
    "several channels": lambda: nn.Sequential(
        conv(1, 8, 3), conv(8, 10, 26, groups=2), nn.Flatten()
    ),
    "several filters": lambda: nn.Sequential(
        conv(1, 5, 3), conv(5, 10, 26, groups=5), nn.Flatten()
    ),
    "Sigmoid": lambda: nn.Sequential(conv(1, 10, 28), nn.Sigmoid(), nn.Flatten()),
    "MaxPool2d": lambda: nn.Sequential(
        conv(1, 10, 3), nn.MaxPool2d(3), nn.AvgPool2d(8), nn.Flatten()
    ),
    "square windows": lambda: nn.Sequential(
        conv(1, 10, 3), nn.AvgPool2d(2, stride=1), conv(10, 10, 25), nn.Flatten()
    ),
    "momentum": lambda: nn.Sequential(
        conv(1, 10, 28), nn.BatchNorm2d(10, momentum=None), nn.Flatten()
    ),
    "2x2, not 1x1": lambda: nn.Sequential(conv(1, 10, 27), nn.Flatten()),
    "convolution": lambda: nn.Sequential(nn.ReLU(), conv(1, 10, 28), nn.Flatten()),
    "channels": lambda: nn.Sequential(conv(1, 8, 3), conv(9, 10, 26), nn.Flatten()),
    "share": lambda: nn.Sequential(*2 * [conv(1, 1, 3)], conv(1, 10, 24), nn.Flatten()),
    "does not pad with zeros": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect"), conv(8, 10, 28), nn.Flatten()
    ),
    "pads one side more": lambda: nn.Sequential(
        conv(1, 8, 2, padding="same"), conv(8, 10, 28), nn.Flatten()
    ),
    "is not square (kernel)": lambda: nn.Sequential(nn.Conv2d(1, 10, (28, 27)), nn.Flatten()),
    "is not square (padding)": lambda: nn.Sequential(
        nn.Conv2d(1, 10, 28, padding=(1, 0)), nn.Flatten()
    ),
    "is larger than its map": lambda: nn.Sequential(conv(1, 10, 29), nn.Flatten()),
    "square windows (ceil_mode)": lambda: nn.Sequential(
        conv(1, 10, 27), nn.AvgPool2d(2, ceil_mode=True), nn.Flatten()
    ),
    "square windows (divisor)": lambda: nn.Sequential(
        conv(1, 10, 27), nn.AvgPool2d(2, divisor_override=3), nn.Flatten()
    ),
    "Dropout": lambda: nn.Sequential(conv(1, 10, 28), nn.Dropout(1.0), nn.Flatten()),
    "BatchNorm2d": lambda: nn.Sequential(
        conv(1, 10, 28), nn.BatchNorm2d(10, track_running_stats=False), nn.Flatten()
    ),
    "not nn.Flatten (start_dim)": lambda: nn.Sequential(conv(1, 10, 28), nn.Flatten(2)),
    "frozen": lambda: nn.Sequential(conv(1, 10, 28).requires_grad_(False), nn.Flatten()),
    "may compute": lambda: nn.Sequential(
        prune.random_unstructured(conv(1, 10, 28), "weight", 0.5),  # type: ignore[no-untyped-call]
        nn.Flatten(),
    ),
    "has hooks": lambda: with_hook(nn.Sequential(conv(1, 10, 28), nn.Flatten())),
    "Derived": lambda: Derived(conv(1, 10, 28), nn.Flatten()),
    "Halved": lambda: nn.Sequential(conv(1, 10, 28), Halved(), nn.Flatten()),
    "of its own": lambda: nn.Sequential(conv(1, 10, 28), LastLayer()),
    "nothing": lambda: nn.Sequential(conv(1, 8, 28), nn.MaxPool2d(2), nn.Flatten()),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_unsupported_reason_names_what_the_engine_lacks(reason: str) -> None:
    found = unsupported_reason(REFUSED[reason]())
    assert found is not None
    assert reason.partition(" (")[0] in found, found
