"""Measure experiments on a Ray cluster, and write cluster.json and docs/scaling.md.

`python -m benchmarks.cluster`; half an hour on two cores, with nothing else to do.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, overload

import yaml

from benchmarks import nodes, scaling
from benchmarks.__main__ import RAW, machine
from benchmarks.processes import ROOT
from experiments import files, git
from experiments.results import Results
from stages import paths
from study.base.errors import UserError
from study.base.files import write

RESULTS = Path(__file__).parent / "cluster.json"
NOTE = ROOT / "docs/scaling.md"
WORKERS = (1, 2, 4, 8)
EACH = 3  # experiments that a worker does, of those in which a stage does nothing
QUEUED = 10_000
LEDGERS = (10, 1_000, 10_000)
SEEDS, EPOCHS = 4, 3  # of the study that is trained for real

# Writes what a stage writes: what is in Git, or nothing but the seed. Computes nothing.
STAND_IN = """\
import pathlib, subprocess, sys
for name in sys.argv[2:]:
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    known = subprocess.run(["git", "show", f"HEAD:{name}"], capture_output=True).stdout
    pathlib.Path(name).write_bytes(known or sys.argv[1].zfill(80_000).encode())
"""
STAND_INS = {
    "exec python -m stages.validate": "0 data/validated",
    "exec python -m stages.download": "0 data/mnist/nothing",
    "exec python -m stages.train ${key} ${item}": (
        "${train.seed} weights/${key}.safetensors metrics/history/${key}.csv"
    ),
    "exec python -m stages.evaluate ${item} ${train.validation_images}": (
        "0 predictions/${item}.csv metrics/${item}.json metrics/confusion/${item}.csv"
    ),
}


def main() -> None:
    """Measure everything."""
    if not RAW.exists():
        raise UserError("data/mnist: no such folder; run `dvc repro download` to fetch it")
    here: dict[str, Any] = dict(machine(os.cpu_count() or 1))
    here["versions"] |= {package: version(package) for package in ("ray", "dvc")}
    with TemporaryDirectory() as name:
        folder = Path(name)
        results = {
            "machine": here,
            "study": compare(folder / "study"),
            "sizes": sizes(folder / "study/there"),
            "overhead": overhead(folder / "overhead"),
            "driver": driver(folder / "driver"),
            "records": records(folder / "records"),
        }
        results["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    text = json.dumps(results, indent=2) + "\n"
    write(RESULTS, text)
    write(NOTE, scaling.markdown(json.loads(text)))


def compare(folder: Path) -> dict[str, Any]:
    """Train for real: through DVC's queue on two cores, and on two nodes of one core each."""
    here = project(folder / "here", range(1, SEEDS + 1), {"epochs": EPOCHS})
    there = folder / "there"
    shutil.copytree(here, there)
    queue_seconds = experiment(here, "--jobs", "2")
    with nodes.cluster() as cluster:
        add(cluster, folder, 2)
        cluster_seconds = experiment(there, "--jobs", "2", "--ray", cluster.address)
    ledgers = {(study / paths.RUNS).read_text("utf-8") for study in (here, there)}
    return {
        "experiments": SEEDS,
        "epochs": EPOCHS,
        "queue_seconds": queue_seconds,
        "cluster_seconds": cluster_seconds,
        "same_ledger": len(ledgers) == 1,
    }


def overhead(folder: Path) -> dict[str, Any]:
    """Run experiments in which stages do nothing, on more and more workers."""
    seconds = {}
    with nodes.cluster() as cluster:
        there = 0
        for workers in WORKERS:
            add(cluster, folder, workers - there, there)
            there = workers
            study = project(folder / f"{workers}", range(1, EACH * workers + 1), {}, stand_in=True)
            seconds[workers] = experiment(study, "--jobs", "1", "--ray", cluster.address)
    return {"each": EACH, "seconds": seconds}


def driver(folder: Path) -> dict[str, Any]:
    """Submit many experiments of which nothing is to be done, and collect them."""
    study = project(folder / "study", [1], {})
    with nodes.cluster() as cluster:
        add(cluster, folder, 2)
        module = ["benchmarks.driver", cluster.address, str(QUEUED)]
        text = call(study, sys.executable, "-m", *module)
    said: dict[str, Any] = json.loads(text.splitlines()[-1])
    return said


def records(folder: Path) -> dict[str, Any]:
    """Take in one experiment more, beside so many that Git and the ledger hold already."""
    study = project(folder / "study", range(1, max(LEDGERS) + 2), {})
    node = folder / "node"
    call(study, "git", "clone", "--quiet", str(study), str(node))
    before = Path.cwd()
    os.chdir(study)
    try:
        return {str(count): record(node, count) for count in LEDGERS}
    finally:
        os.chdir(before)


def record(node: Path, count: int) -> dict[str, float]:
    """Have Git hold so many experiments; measure the first look at all, then one more from a node.

    Of the first look, there is no ledger yet.
    """
    runs = files.runs()
    results = Results(runs, git.call("rev-parse", "HEAD").strip())
    names = list(runs)
    finish(Path(), results, names[:count])
    paths.RUNS.unlink(missing_ok=True)
    seconds = [timed(results.update)]
    (last,) = names[count : count + 1]
    finish(node, results, [last])
    ref, bundle = results.ref(last), node / "bundle"
    call(node, "git", "bundle", "create", "--quiet", str(bundle), ref, f"^{results.revision}")
    seconds.append(timed(lambda: git.call("fetch", "--quiet", str(bundle), f"+{ref}:{ref}")))
    seconds.append(timed(results.update))
    keys = ("first_look_seconds", "fetch_seconds", "look_seconds")
    return dict(zip(keys, seconds, strict=True))


def finish(repository: Path, results: Results, names: Sequence[str]) -> None:
    """Make the commits that DVC makes of finished experiments, all at once."""
    values = paths.PARAMS.read_text("utf-8")
    commits = []
    for name in names:
        text = re.sub("  seed: .*", f"  seed: {results.runs[name].recipe.seed}", values)
        commits.append(
            f"commit {results.ref(name)}\ncommitter A user <user@example.org> 0 +0000\n"
            f"data 0\nfrom {results.revision}\n"
            f"M 100644 inline {paths.PARAMS}\ndata {len(text.encode())}\n{text}\n"
        )
    git.output(
        "-C", str(repository), "fast-import", "--quiet", "--force", stdin="".join(commits).encode()
    )


def sizes(study: Path) -> dict[str, int]:
    """How many bytes travel."""
    (ref, *_) = call(study, "git", "for-each-ref", "--format=%(refname)", "refs/exps/??/**").split()
    made = yaml.safe_load(call(study, "git", "show", f"{ref}:dvc.lock"))["stages"]
    stages = ("validate", "train@model_3", "evaluate@model_3")
    kept = [
        each for stage in stages for each in made[stage]["outs"] if "metrics" not in each["path"]
    ]
    return {
        "raw": sum(path.stat().st_size for path in RAW.iterdir()),
        "commit": len(call(study, "git", "bundle", "create", "--quiet", "-", "HEAD", text=False)),
        "experiment": len(
            call(study, "git", "bundle", "create", "--quiet", "-", ref, "^HEAD", text=False)
        )
        + sum(each["size"] for each in kept),
    }


def project(
    folder: Path, seeds: Sequence[int], values: Mapping[str, object], stand_in: bool = False
) -> Path:
    """Return a clone of this repository that asks for Model 3 with these seeds and values."""
    call(ROOT, "git", "clone", "--quiet", str(ROOT), str(folder))
    asked = {
        "seeds": list(seeds),
        "experiments": [{"id": "model-3", "model": "model_3", "description": "Model 3"}],
    }
    (folder / paths.EXPERIMENTS).write_text(yaml.safe_dump(asked), encoding="utf-8")
    for key, value in values.items():
        edit(folder / paths.PARAMS, rf"(?m)^  {key}: .*", f"  {key}: {value}")
    if stand_in:
        (folder / "stand_in.py").write_text(STAND_IN, encoding="utf-8")
        for command, arguments in STAND_INS.items():
            edit(folder / paths.PIPELINE, re.escape(command), f"python stand_in.py {arguments}")
    call(folder, "git", "rm", "--quiet", str(paths.RUNS))
    call(folder, "git", "config", "user.name", "A user")
    call(folder, "git", "config", "user.email", "user@example.org")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "To be measured")
    return folder


def edit(path: Path, pattern: str, new: str) -> None:
    """Replace the first place of a file where a pattern is found."""
    text, count = re.subn(pattern, lambda _: new, path.read_text("utf-8"), count=1)
    assert count == 1, pattern
    path.write_text(text, encoding="utf-8")


def add(cluster: Any, folder: Path, count: int, there: int = 0) -> None:
    """Add so many nodes of one core to those that are there, each with a folder of its own."""
    for number in range(there, there + count):
        home = folder / f"node-{number}"
        home.mkdir(parents=True)
        nodes.add(cluster, 1, home)


def experiment(study: Path, *arguments: str) -> float:
    """Return how long `make experiments` takes."""
    return timed(lambda: call(study, sys.executable, "-m", "experiments", *arguments))


def timed(do: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    do()
    return round(time.perf_counter() - start, 2)


@overload
def call(folder: Path, *command: str, text: Literal[True] = True) -> str: ...
@overload
def call(folder: Path, *command: str, text: Literal[False]) -> bytes: ...
def call(folder: Path, *command: str, text: bool = True) -> str | bytes:
    """Run a command and return what it wrote. Raises UserError with the last line of it."""
    python = str(Path(sys.executable).parent)
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ
        | {
            "MNIST_FOLDER": str(RAW),
            "PATH": os.pathsep.join((python, os.environ["PATH"])),
        },
        capture_output=True,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).decode().strip().rpartition("\n")[2]
        raise UserError(f"{' '.join(command)}: {said}")
    return done.stdout.decode() if text else done.stdout


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
