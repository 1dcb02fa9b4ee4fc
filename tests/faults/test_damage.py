"""Damaged files: noticed before they are used and named, with the way back."""

import copy
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from study.base.errors import UserError
from study.evaluation import trained_network
from tests.checkout import Checkout
from tests.faults import one_model
from tests.faults.one_model import EVALUATE, HISTORY, MODEL, SUMMARIZE, TRAIN, WEIGHTS
from tests.recipes import untrained

pytestmark = pytest.mark.xdist_group("damage")

FLIPPED = 300
METRICS = f"metrics/models/{MODEL}.json"
MARKERS = b"<<<<<<< HEAD\n%s=======\n%s>>>>>>> theirs\n"


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which the study has run and is committed, next to a copy of its DVC cache."""
    checkout = one_model.create(tmp_path_factory.mktemp("damage"), mnist_folder)
    checkout.run("dvc", "repro")
    checkout.commit("Ran")
    shutil.copytree(checkout.root / ".dvc/cache", checkout.root.with_name("cache"))
    return checkout


@pytest.fixture
def checkout(reproduced: Checkout) -> Iterator[Checkout]:
    yield reproduced
    reproduced.restore()
    cache = reproduced.root / ".dvc/cache"
    shutil.rmtree(cache)
    shutil.copytree(reproduced.root.with_name("cache"), cache)
    reproduced.run("dvc", "checkout", "--force")


@pytest.mark.fault("a flipped byte in weights", "detected and named before use", FLIPPED)
def test_load_names_damaged_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    sound = untrained(MODEL)
    path.write_bytes(sound)
    trained_network.load(MODEL, path)
    chance = random.Random(6)
    for place in chance.sample(range(len(sound)), FLIPPED):
        damaged = bytearray(sound)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="altered") as caught:
            trained_network.load(MODEL, path)
        assert f"`dvc repro --force {TRAIN}`" in str(caught.value)


@pytest.mark.slow
@pytest.mark.fault(
    "a flipped byte of weights in the DVC cache, which `dvc checkout` restores",
    "detected and named before use; the commands in the message restore the correct file",
)
def test_evaluate_names_weights_damaged_in_the_cache(checkout: Checkout) -> None:
    weights = checkout.root / WEIGHTS
    sound, damaged = damage_cache(checkout)
    weights.unlink()
    checkout.run("dvc", "checkout", "--force", WEIGHTS)
    assert weights.read_bytes() == damaged

    status, output = checkout.attempt("dvc", "repro", "--force", "--single-item", EVALUATE)
    assert status != 0
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: {WEIGHTS}: ")
    assert "altered" in line
    assert f"`rm -r .dvc/cache && dvc repro --force {TRAIN}`" in line
    # DVC replaces even what is trained again by what its cache has for the same sum.
    checkout.run("dvc", "repro", "--force", "--single-item", TRAIN)
    assert weights.read_bytes() == damaged
    shutil.rmtree(checkout.root / ".dvc/cache")
    checkout.run("dvc", "repro", "--force", "--single-item", TRAIN)
    assert weights.read_bytes() == sound
    checkout.run("dvc", "repro", EVALUATE)
    assert checkout.changed() == []


def damage_cache(checkout: Checkout) -> tuple[bytes, bytes]:
    """Flip a bit of the weights in the DVC cache; return the bytes before and after."""
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
    "`rm -r .dvc/cache && dvc repro --force` restores it, with the same bytes",
    2,
)
def test_forced_repro_restores_the_cache(checkout: Checkout) -> None:
    for damaged in (True, False):
        sound = damage_cache(checkout)[0] if damaged else (checkout.root / WEIGHTS).read_bytes()
        shutil.rmtree(checkout.root / ".dvc/cache")
        checkout.run("dvc", "repro", "--force")
        assert checkout.changed() == []
        (checkout.root / WEIGHTS).unlink()
        checkout.run("dvc", "checkout")
        assert (checkout.root / WEIGHTS).read_bytes() == sound


@pytest.mark.slow
@pytest.mark.fault(
    "merge-conflict markers in params.yaml, dvc.yaml or dvc.lock",
    "one line names the file, and nothing runs; `git restore` restores it",
)
@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_dvc_names_file_with_conflict_markers(checkout: Checkout, name: str) -> None:
    path = checkout.root / name
    path.write_bytes(MARKERS % (path.read_bytes(), path.read_bytes()))
    status, output = checkout.attempt("dvc", "repro")
    assert status != 0
    assert name in output
    assert "Running stage" not in output
    assert "Traceback" not in output
    checkout.run("git", "restore", name)
    assert checkout.due() == []


@pytest.mark.slow
@pytest.mark.fault(
    "merge-conflict markers in metrics, in the history of a training, in the report",
    "the stage that writes the file runs again and restores the bytes",
)
@pytest.mark.parametrize("name", [METRICS, HISTORY, "reports/report.md"])
def test_output_with_conflict_markers_is_written_again(checkout: Checkout, name: str) -> None:
    path = checkout.root / name
    path.write_bytes(MARKERS % (path.read_bytes(), path.read_bytes()))
    checkout.run("dvc", "repro")
    assert checkout.changed() == []


@pytest.mark.slow
@pytest.mark.fault(
    "an old dvc.lock: a stage missing, other checksums for the dependencies of one",
    "these stages run again and restore dvc.lock",
)
def test_repro_corrects_an_old_lock(checkout: Checkout) -> None:
    path = checkout.root / "dvc.lock"
    right = yaml.safe_load(path.read_text("utf-8"))
    lock = copy.deepcopy(right)
    del lock["stages"][SUMMARIZE]
    for dependency in lock["stages"][EVALUATE]["deps"]:
        dependency["md5"] = "0" * 32
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    output = checkout.run("dvc", "repro")
    assert "Running stage 'train" not in output
    assert yaml.safe_load(path.read_text("utf-8")) == right
    assert checkout.changed() in ([], ["dvc.lock"])
