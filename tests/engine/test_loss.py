"""exp, log and cross-entropy."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numba import njit

from study.engine import loss

pytestmark = pytest.mark.xdist_group("engine")


@njit
def exps(x):  # type: ignore[no-untyped-def]
    return np.array([loss.exp(value) for value in x])


@njit
def logs(x):  # type: ignore[no-untyped-def]
    return np.array([loss.log(value) for value in x])


def test_exp_and_log_are_as_exact_as_they_say() -> None:
    rng = np.random.default_rng(1)
    subnormal = 709 + rng.random(3000) * 35
    x = -np.concatenate(
        [rng.random(3000) * 708, rng.random(3000), rng.random(100) * 1e-9, [0, 0.5], subnormal]
    )
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(exps(x) - exact) / np.spacing(exact.astype(float))) < 2
    x = 1 + rng.random(6000) * 9
    exact = np.log(x.astype(np.longdouble))
    error, small = np.abs(logs(x) - exact), x <= math.sqrt(2)
    assert np.max(error[small]) < 1.2e-16
    assert np.max((error / np.spacing(exact.astype(float)))[~small]) < 2
    assert exps(np.array([-1e4, -np.inf])).tolist() == [0, 0]
    assert np.isnan(exps(np.array([np.nan, np.inf]))).all()
    assert logs(np.array([1.0])).tolist() == [0]


def test_cross_entropy_matches_pytorch() -> None:
    rng = np.random.default_rng(2)
    logits = (rng.standard_normal((50, 16)) * 8).astype(np.float32)
    labels, gradient = rng.integers(0, 10, 50), np.ones((50, 16), np.float32)
    total, correct = loss.cross_entropy(logits, labels, 10, gradient)
    x = torch.from_numpy(logits[:, :10].copy()).double().requires_grad_()
    mean = F.cross_entropy(x, torch.from_numpy(labels))
    mean.backward()  # type: ignore[no-untyped-call]
    assert total / 50 == pytest.approx(float(mean.detach()), rel=1e-14)
    assert x.grad is not None
    assert np.allclose(gradient[:, :10], x.grad.numpy(), rtol=1e-7, atol=1e-12)
    assert not gradient[:, 10:].any()
    assert correct == int((x.argmax(1).numpy() == labels).sum())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_cross_entropy_of_a_logit_that_is_not_finite_is_nan(value: float) -> None:
    logits = np.zeros((5, 16), np.float32)
    logits[3, 4] = value
    total, _ = loss.cross_entropy(logits, np.zeros(5, np.int64), 10, np.empty((0, 0), np.float32))
    assert math.isnan(total)
