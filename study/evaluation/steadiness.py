"""How steady a training ends."""

from collections.abc import Sequence
from statistics import stdev

LAST = 3  # epochs


def last_epochs_std(test_accuracies: Sequence[float]) -> float:
    """Return the standard deviation (n - 1) of test accuracy over the last three epochs, in points.

    Over as many as there are, where there are fewer; 0 after a single one.
    """
    last = test_accuracies[-LAST:]
    return round(stdev(last), 3) if len(last) > 1 else 0.0
