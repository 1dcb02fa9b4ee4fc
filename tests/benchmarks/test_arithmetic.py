import pytest
from torch import nn

from benchmarks import arithmetic


def test_operations_are_those_of_forward_and_backward_convolutions() -> None:
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 5, groups=4), nn.Conv2d(8, 2, 22)
    first, second, third = 26 * 26 * 4 * 9, 22 * 22 * 8 * 25, 2 * 8 * 22 * 22
    expected = 2 * (2 * first + 3 * second + 3 * third)
    assert arithmetic.operations(nn.Sequential(*layers)) == expected


@pytest.mark.xdist_group("engine")
def test_peak_is_that_of_a_processor() -> None:
    assert 1e9 < arithmetic.peak(0.02) < 1e12
