"""Bytes that are not what was written: noticed before they are used, named, and the way back."""

import copy
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

import models
from study.base.errors import UserError
from study.evaluation import trained_network
from study.training import weights_file
from tests.checkout import Checkout
from tests.faults import one_model

FLIPPED = 1000
WEIGHTS = f"weights/{one_model.MODEL}.safetensors"
METRICS = f"metrics/{one_model.MODEL}.json"
HISTORY = f"metrics/history/{one_model.MODEL}.csv"
MARKERS = b"<<<<<<< HEAD\n%s=======\n%s>>>>>>> theirs\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which the study has run, and is committed."""
    checkout = one_model.create(tmp_path_factory.mktemp("damage"), mnist_folder)
    checkout.run("dvc", "repro")
    checkout.commit("Ran")
    shutil.copytree(checkout.root / ".dvc/cache", checkout.root.with_name("cache"))
    return checkout


@pytest.fixture
def checkout(trained: Checkout) -> Iterator[Checkout]:
    yield trained
    trained.restore()
    cache = trained.root / ".dvc/cache"
    shutil.rmtree(cache)
    shutil.copytree(trained.root.with_name("cache"), cache)
    trained.run("dvc", "checkout", "--force")


@pytest.mark.fault("a flipped byte in weights", "named before they are used", FLIPPED)
def test_weights(tmp_path: Path) -> None:
    network = models.build(one_model.MODEL, dropout=0.0)
    path = tmp_path / "weights.safetensors"
    sound = weights_file.to_safetensors(network)
    path.write_bytes(sound)
    loaded = trained_network.load(one_model.MODEL, path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())
    chance = random.Random(6)
    for place in chance.sample(range(len(sound)), FLIPPED):
        damaged = bytearray(sound)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="altered") as caught:
            trained_network.load(one_model.MODEL, path)
        assert "`dvc repro --force train@model_3`" in str(caught.value)


@pytest.mark.slow
@pytest.mark.fault(
    "a flipped byte of weights in the DVC cache, which `dvc checkout` brings back",
    "named before they are used; what it says brings back the right ones",
)
def test_cache(checkout: Checkout) -> None:
    weights = checkout.root / WEIGHTS
    sound, damaged = damage_cache(checkout)
    weights.unlink()
    checkout.run("dvc", "checkout", "--force", WEIGHTS)
    assert weights.read_bytes() == damaged

    evaluate, train = f"evaluate@{one_model.MODEL}", f"train@{one_model.MODEL}"
    status, output = checkout.attempt("dvc", "repro", "--force", "--single-item", evaluate)
    assert status != 0
    assert f"error: {WEIGHTS}: altered, " in output
    # Even what is trained again, DVC replaces by what its cache holds for the same.
    checkout.run("dvc", "repro", "--force", "--single-item", train)
    assert weights.read_bytes() == damaged
    assert f"`rm -r .dvc/cache && dvc repro --force {train}`" in output
    shutil.rmtree(checkout.root / ".dvc/cache")
    checkout.run("dvc", "repro", "--force", "--single-item", train)
    assert weights.read_bytes() == sound
    checkout.run("dvc", "repro", evaluate)
    assert checkout.run("git", "status", "--porcelain") == ""


def damage_cache(checkout: Checkout) -> tuple[bytes, bytes]:
    """Flip a bit of the weights in the DVC cache; return what they were, and what they are."""
    sound = (checkout.root / WEIGHTS).read_bytes()
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
    return sound, bytes(damaged)


@pytest.mark.slow
@pytest.mark.fault(
    "the DVC cache damaged, or deleted",
    "`rm -r .dvc/cache && dvc repro --force` makes it again, with the same bytes",
    2,
)
def test_cache_again(checkout: Checkout) -> None:
    for damaged in (True, False):
        sound = damage_cache(checkout)[0] if damaged else (checkout.root / WEIGHTS).read_bytes()
        shutil.rmtree(checkout.root / ".dvc/cache")
        checkout.run("dvc", "repro", "--force")
        assert checkout.run("git", "status", "--porcelain") == ""
        (checkout.root / WEIGHTS).unlink()
        checkout.run("dvc", "checkout")
        assert (checkout.root / WEIGHTS).read_bytes() == sound


@pytest.mark.slow
@pytest.mark.fault(
    "merge-conflict markers in params.yaml, dvc.yaml or dvc.lock",
    "a line names the file, and nothing runs; `git restore` brings it back",
)
@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_markers_in_what_dvc_reads(checkout: Checkout, name: str) -> None:
    path = checkout.root / name
    path.write_bytes(MARKERS % (path.read_bytes(), path.read_bytes()))
    status, output = checkout.attempt("dvc", "repro")
    assert status != 0
    assert name in output
    assert "Running stage" not in output
    assert "Traceback" not in output
    checkout.run("git", "restore", name)
    assert "Data and pipelines are up to date." in checkout.run("dvc", "repro")


@pytest.mark.slow
@pytest.mark.fault(
    "merge-conflict markers in metrics, in the history of a training, in a report",
    "the stage whose output it is runs again, and the bytes are what they were",
)
@pytest.mark.parametrize("name", [METRICS, HISTORY, "reports/report.md"])
def test_markers_in_what_stages_write(checkout: Checkout, name: str) -> None:
    path = checkout.root / name
    path.write_bytes(MARKERS % (path.read_bytes(), path.read_bytes()))
    checkout.run("dvc", "repro")
    assert checkout.run("git", "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.fault(
    "an old dvc.lock: without a stage, with another sum of what one depends on",
    "those stages run again, and dvc.lock is right",
)
def test_old_lock(checkout: Checkout) -> None:
    path = checkout.root / "dvc.lock"
    right = yaml.safe_load(path.read_text("utf-8"))
    lock = copy.deepcopy(right)
    del lock["stages"][f"summarize@{one_model.MODEL}"]
    for dependency in lock["stages"][f"evaluate@{one_model.MODEL}"]["deps"]:
        dependency["md5"] = "0" * 32
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    output = checkout.run("dvc", "repro")
    assert "Running stage 'train" not in output
    assert yaml.safe_load(path.read_text("utf-8")) == right
    assert checkout.run("git", "status", "--porcelain").split() in ([], ["M", "dvc.lock"])
