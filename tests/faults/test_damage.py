"""Bytes that are not what was written: noticed before they are used, named, and the way back."""

import random
from pathlib import Path

import pytest
import torch

import models
from study import evaluation
from study.errors import UserError
from tests.faults import one_model

FLIPPED = 1000


@pytest.mark.fault("a flipped byte in weights", "named before they are used", FLIPPED)
def test_weights(tmp_path: Path) -> None:
    network = models.build(one_model.MODEL, dropout=0.0)
    path = tmp_path / "weights.safetensors"
    sound = evaluation.to_safetensors(network)
    path.write_bytes(sound)
    loaded = evaluation.load(one_model.MODEL, path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())
    chance = random.Random(6)
    for place in chance.sample(range(len(sound)), FLIPPED):
        damaged = bytearray(sound)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="altered") as caught:
            evaluation.load(one_model.MODEL, path)
        assert "`dvc repro --force train@model_3`" in str(caught.value)


@pytest.mark.slow
@pytest.mark.fault(
    "a flipped byte of weights in the DVC cache, which `dvc checkout` brings back",
    "named before they are used; training again, as it says, brings back the right ones",
)
def test_cache(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = one_model.create(tmp_path, mnist_folder)
    checkout.run("dvc", "repro", f"evaluate@{one_model.MODEL}")
    weights = checkout.root / f"weights/{one_model.MODEL}.safetensors"
    sound = weights.read_bytes()
    (cached,) = (
        path
        for path in checkout.root.glob(".dvc/cache/files/md5/*/*")
        if path.is_file() and path.read_bytes() == sound
    )
    damaged = bytearray(sound)
    damaged[-1] ^= 1
    cached.chmod(0o644)
    cached.write_bytes(damaged)
    cached.chmod(0o444)
    weights.unlink()
    checkout.run("dvc", "checkout", "--force", str(weights))
    assert weights.read_bytes() == damaged

    status, output = checkout.attempt(
        "dvc", "repro", "--force", "--single-item", f"evaluate@{one_model.MODEL}"
    )
    assert status != 0
    assert f"error: weights/{one_model.MODEL}.safetensors: altered: " in output
    checkout.run("dvc", "repro", "--force", "--single-item", f"train@{one_model.MODEL}")
    assert weights.read_bytes() == sound
    checkout.run("dvc", "repro", f"evaluate@{one_model.MODEL}")
