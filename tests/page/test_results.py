import pytest

from study.evidence.aggregates import EpochBand
from study.page import results
from study.page.results import Axis
from study.training.history import Epoch


def test_axis_has_round_ticks_inside() -> None:
    axis = Axis.around([98.43, None, 99.61])
    assert axis.ticks == [98.4, 98.6, 98.8, 99.0, 99.2, 99.4, 99.6]
    assert Axis(-0.9, 0.75).ticks == [-0.5, 0.0, 0.5]


def test_axis_places_values_between_its_ends() -> None:
    axis = Axis(98.0, 100.0)
    assert [axis.at(value) for value in (98.5, 90.0, 101.0)] == ["25.00%", "0.00%", "100.00%"]
    assert axis.length(98.5, 101) == "75.00%"


@pytest.mark.parametrize("values", [[], [None], [99.0]])
def test_axis_exists_without_different_values(values: list[float | None]) -> None:
    assert len(Axis.around(values).ticks) > 1


def test_curves_are_over_seeds_where_there_are_runs() -> None:
    history = [Epoch(0, 0.1, 97.0, 0.1, 0.1, 98.0), Epoch(1, 0.1, 97.0, 0.1, 0.1, 98.2)]
    band = EpochBand("model-2", 0, 3, lowest=97.0, mean=98.0, highest=99.0, published=None)
    one, several = results.curves(
        {"model_1": history, "model_2": history}, {"model-2": [band]}, {"model-2": "model_2"}
    )
    assert (one["runs"], one["points"]) == (1, [[98.0, 98.0, 98.0], [98.2, 98.2, 98.2]])
    assert (several["runs"], several["points"]) == (3, [[97.0, 98.0, 99.0]])
