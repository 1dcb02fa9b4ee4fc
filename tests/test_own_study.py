"""docs/extending.md, step by step: another data set, one network, no write-up."""

import csv
import hashlib
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from stages import paths
from study.data import raw
from study.networks import inputs
from tests import small_study
from tests.checkout import Checkout, stages_run

MODEL = "garments"
SEEDS = (1, 2)
EXPERIMENTS = f"""\
seeds: [{SEEDS[0]}, {SEEDS[1]}]
configurations:
  - id: {MODEL}
    model: {MODEL}
    default: true
    description: The network for garments
"""
TITLE = "Garments are harder than digits"
CLAIMS = f"""\
questions:
  garments-are-hard:
    - {{metric: accuracy, of: {MODEL}, is: lower, than: target}}
titles:
  garments-are-hard: {TITLE}
"""
CLASSES = 10


@pytest.mark.slow
def test_own_study_on_another_data_set(tmp_path: Path) -> None:
    data = tmp_path / "fashion"
    mean, sd = write_data_set(data)
    checkout = small_study.create(tmp_path, data, ["model_2"])
    root = checkout.root
    replace_data_set(checkout, data, mean, sd)
    replace_study(checkout)

    checkout.run("dvc", "repro", "--force", "download")
    checkout.run("dvc", "repro")
    labels = np.fromfile(data / "t10k-labels-idx1-ubyte", np.uint8)[8:].tolist()
    with (root / paths.predictions(MODEL)).open(encoding="utf-8") as file:
        assert [int(row["label"]) for row in csv.DictReader(file)] == labels
    metrics = json.loads((root / paths.metrics(MODEL)).read_text("utf-8"))
    assert metrics["accuracy"] > 90
    before = json.loads((root / paths.VERDICTS).read_text("utf-8"))
    assert (before["claims"], before["missing"]) == ([], {MODEL: len(SEEDS)})

    checkout.commit("Our own study")
    checkout.run("make", "VENV=", "JOBS=2", "experiments")
    assert stages_run(checkout.run("dvc", "repro")) == ["claims", "page", "report"]
    with (root / paths.RUNS).open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [int(row["seed"]) for row in rows] == [*SEEDS]
    assert float(rows[0]["accuracy"]) == metrics["accuracy"]  # the same seed, the same bytes
    checkout.run("python", "-m", "experiments.check")
    verdicts = json.loads((root / paths.VERDICTS).read_text("utf-8"))
    assert (verdicts["claims"], verdicts["missing"]) == ([], {})
    (question,) = verdicts["questions"]
    checkout.run("make", "VENV=", "readme")
    readme = (root / "README.md").read_text("utf-8")
    assert question["verdict"] in readme
    assert re.search(r"(?m)^\| Garments \| .* \| 2 \| – \| – \|$", readme)
    heading = f"### {TITLE}: {question['verdict'].upper()}\n"
    assert heading in (root / paths.REPORT).read_text("utf-8")


def write_data_set(folder: Path) -> tuple[float, float]:
    """Write raw files like those of MNIST, with noisy patterns; return mean and SD of the pixels.

    The pixels are those of the training images, on a scale from 0 to 1.
    """
    generator = np.random.default_rng(seed=1)
    patterns = generator.integers(128, size=(CLASSES, 28, 28), dtype=np.uint8)
    folder.mkdir()
    for split, n in (("t10k", 10_000), ("train", 60_000)):
        labels = generator.integers(CLASSES, size=n, dtype=np.uint8)
        images = patterns[labels] + generator.integers(128, size=(n, 28, 28), dtype=np.uint8)
        for kind, header, content in (
            ("images-idx3", (0x803, n, 28, 28), images),
            ("labels-idx1", (0x801, n), labels),
        ):
            file = folder / f"{split}-{kind}-ubyte"
            file.write_bytes(struct.pack(f">{len(header)}I", *header) + content.tobytes())
    return float(images.mean() / 255), float(images.std() / 255)


def replace_data_set(checkout: Checkout, data: Path, mean: float, sd: float) -> None:
    """Steps 1 to 3 of the section on another data set."""
    for name, known in raw.SHA256.items():
        ours = hashlib.sha256((data / name).read_bytes()).hexdigest()
        checkout.edit("study/data/raw.py", known, ours)
    checkout.edit(
        "study/networks/inputs.py", f"{inputs.MEAN}, {inputs.SD}", f"{mean:.4f}, {sd:.4f}"
    )
    keep_header(checkout.root / paths.RUNS)


def replace_study(checkout: Checkout) -> None:
    """Steps 1 to 3 of the section on a study without the write-up."""
    root = checkout.root
    (root / "models/model_2.py").rename(root / f"models/{MODEL}.py")
    short = {"train_images": 3_000, "batch_size": 32}
    checkout.set({"models": {MODEL: {}}, "candidate": MODEL})
    checkout.set({f"train.{key}": value for key, value in short.items()})
    (root / paths.EXPERIMENTS).write_text(EXPERIMENTS, encoding="utf-8")
    write_up = (root / paths.WRITE_UP).read_text("utf-8")
    target = write_up.partition("\n# Per model:")[0]
    (root / paths.WRITE_UP).write_text(f"{target}\nmodels: {{}}\nclaims: []\n", encoding="utf-8")
    keep_header(root / paths.EPOCHS)
    (root / paths.CLAIMS).write_text(CLAIMS, encoding="utf-8")


def keep_header(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        header = file.readline()
    path.write_text(header, encoding="utf-8")
