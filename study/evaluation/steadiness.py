"""How steady test accuracy is at the end of training."""

from collections.abc import Sequence
from statistics import stdev

LAST = 3  # epochs


def last_epochs_std(test_accuracies: Sequence[float]) -> float:
    """Return the sample SD of test accuracy over the last three epochs, in points.

    With fewer epochs, it covers all of them; after a single one it is 0.
    """
    last = test_accuracies[-LAST:]
    return round(stdev(last), 3) if len(last) > 1 else 0.0
