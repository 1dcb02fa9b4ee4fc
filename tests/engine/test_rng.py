"""Initial weights and dropout masks."""

import math
from fractions import Fraction

import numpy as np
import pytest

import models
from study.engine import initialize, rng_state
from study.engine.rng import DRAWS_PER_ROUND, N_STREAMS, draw_mask, threshold

pytestmark = pytest.mark.xdist_group("engine")


def test_initial_weights_are_uniform_within_one_over_the_root_of_the_fan_in() -> None:
    network = models.build("model_1", 0.1)
    initialize(network, np.random.SeedSequence(7))
    weight = network[6].weight.detach().numpy()  # type: ignore[operator]
    bound = float(1 / np.sqrt(16 * 9))
    assert np.abs(weight).max() <= np.float32(bound)
    assert abs(weight.mean()) < 4 * bound / math.sqrt(3 * weight.size)
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    first = np.random.SFC64(np.random.SeedSequence(7)).random_raw(1)[0] >> np.uint64(40)
    value = Fraction(2 * int(first) + 1, 2**24) - 1
    expected = np.float32(float(value) / 3)
    assert network[0].weight.detach().numpy().ravel()[0] == expected  # type: ignore[operator]


def test_dropout_masks_follow_from_numpys_generators() -> None:
    masks = np.empty(3 * DRAWS_PER_ROUND, np.uint8)
    draw_mask(rng_state(np.random.SeedSequence(5)), threshold(0.1), masks)
    children = np.random.SeedSequence(5).spawn(N_STREAMS)
    words = np.stack([np.random.SFC64(child).random_raw(3) for child in children], axis=1)
    assert np.array_equal(masks, words.view(np.uint16).reshape(-1) >= 6554)
