"""Measure experiments on a Ray cluster, for docs/scaling.md."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.machine import RAW, check_raw_data, load, this_machine
from benchmarks.processes import ROOT
from benchmarks.scaling import local_cluster, scaling_page
from experiments import git
from experiments.collect import Collector
from stages import paths, project_files
from stages.command import no_arguments, run
from study.base.errors import UserError
from study.base.files import write

STAND_IN = Path(__file__).parent / "stand_in.py"
MODEL = "model_3"
STAGES = ("recipes", "download", "train", "evaluate")
WORKERS = (1, 2, 4, 8)
EACH = 3  # experiments per worker, in which stages compute nothing
QUEUED = 10_000
RECORDED = (10, 1_000, 10_000)
SEEDS, EPOCHS = 4, 3  # of the study that is trained for real


def main() -> None:
    """Measure everything, in about 20 minutes on two idle cores."""
    no_arguments()
    check_raw_data()
    write(scaling_page.RESULTS, json.dumps(measure(), indent=2) + "\n")
    print(f"wrote {scaling_page.RESULTS.relative_to(ROOT)}; `make readme` writes docs/scaling.md")


def measure() -> dict[str, Any]:
    """Return all measurements."""
    here = this_machine("ray", "dvc")
    with TemporaryDirectory() as name:
        folder = Path(name)
        results = {
            "study": compare(folder / "study"),
            "sizes": sizes(folder / "study/there"),
            "overhead": overhead(folder / "overhead"),
            "driver": driver(folder / "driver"),
            "records": records(folder / "records"),
        }
    return {"machine": {**here, "load_after": load()}, **results}


def compare(folder: Path) -> dict[str, Any]:
    """Train for real, on two cores of this machine and on two nodes of one core each."""
    here = create_study(folder / "here", range(1, SEEDS + 1), {"epochs": EPOCHS})
    there = folder / "there"
    shutil.copytree(here, there)
    local_seconds = experiment(here, "--jobs", "2")
    with local_cluster.start() as cluster:
        add_nodes(cluster, folder, 2)
        cluster_seconds = experiment(there, "--jobs", "2", "--ray", cluster.address)
    tables = {(study / paths.RUNS).read_text("utf-8") for study in (here, there)}
    return {
        "experiments": SEEDS,
        "epochs": EPOCHS,
        "local_seconds": local_seconds,
        "cluster_seconds": cluster_seconds,
        "same_rows": len(tables) == 1,
    }


def overhead(folder: Path) -> dict[str, Any]:
    """Run experiments in which stages compute nothing, on more and more workers."""
    seconds = {}
    with local_cluster.start() as cluster:
        present = 0
        for workers in WORKERS:
            add_nodes(cluster, folder, workers - present, present)
            present = workers
            seeds = range(1, EACH * workers + 1)
            study = create_study(folder / f"{workers}", seeds, {}, stand_in=True)
            seconds[workers] = experiment(study, "--jobs", "1", "--ray", cluster.address)
    return {"each": EACH, "seconds": seconds}


def driver(folder: Path) -> dict[str, Any]:
    """Submit and collect many experiments in which nodes do nothing."""
    study = create_study(folder / "study", [1], {})
    with local_cluster.start() as cluster:
        add_nodes(cluster, folder, 2)
        module = ["benchmarks.scaling.bare_driver", cluster.address, str(QUEUED)]
        text = call(study, sys.executable, "-m", *module)
    measurement: dict[str, Any] = json.loads(text.splitlines()[-1])
    return measurement


def records(folder: Path) -> dict[str, Any]:
    """Collect one more experiment when Git and the run table already hold many."""
    study = create_study(folder / "study", range(1, max(RECORDED) + 2), {})
    node = folder / "node"
    call(study, "git", "clone", "--quiet", str(study), str(node))
    before = Path.cwd()
    os.chdir(study)
    try:
        return {str(count): record(node, count) for count in RECORDED}
    finally:
        os.chdir(before)


def record(node: Path, count: int) -> dict[str, float]:
    """Create `count` experiments in Git; time collecting all of them without a run table.

    Then time fetching one more from the clone `node`, and collecting it with a run table.
    """
    runs = project_files.runs()
    collector = Collector(runs, git.call("rev-parse", "HEAD").strip())
    names = list(runs)
    create_experiments(Path(), collector, names[:count])
    paths.RUNS.unlink(missing_ok=True)
    seconds = [timed(collector.update)]
    last = names[count]
    create_experiments(node, collector, [last])
    ref, bundle = collector.ref(last), node / "bundle"
    call(node, "git", "bundle", "create", "--quiet", str(bundle), ref, f"^{collector.revision}")
    seconds.append(timed(lambda: git.call("fetch", "--quiet", str(bundle), f"+{ref}:{ref}")))
    seconds.append(timed(collector.update))
    keys = ("first_look_seconds", "fetch_seconds", "look_seconds")
    return dict(zip(keys, seconds, strict=True))


def create_experiments(repository: Path, collector: Collector, names: Sequence[str]) -> None:
    """Create the commits that DVC makes of finished experiments, all at once."""
    values = yaml.safe_load(paths.PARAMS.read_text("utf-8"))
    commits = []
    for name in names:
        values["train"]["seed"] = collector.runs[name].recipe.seed
        text = yaml.dump(values, Dumper=yaml.CSafeDumper)
        commits.append(
            f"commit {collector.ref(name)}\ncommitter A user <user@example.org> 0 +0000\n"
            f"data 0\nfrom {collector.revision}\n"
            f"M 100644 inline {paths.PARAMS}\ndata {len(text.encode())}\n{text}\n"
        )
    git.output(
        "-C", str(repository), "fast-import", "--quiet", "--force", stdin="".join(commits).encode()
    )


def sizes(study: Path) -> dict[str, int]:
    """Return the number of bytes that are sent to a node and back."""
    (ref, *_) = call(study, "git", "for-each-ref", "--format=%(refname)", "refs/exps/??/**").split()
    locked = yaml.safe_load(call(study, "git", "show", f"{ref}:dvc.lock"))["stages"]
    kept = [
        output
        for stage in (f"train@{MODEL}", f"evaluate@{MODEL}")
        for output in locked[stage]["outs"]
        if "metrics" not in output["path"]
    ]
    return {
        "raw": sum(path.stat().st_size for path in RAW.iterdir()),
        "commit": len(git.output("bundle", "create", "--quiet", "-", "HEAD", folder=study)),
        "experiment": len(
            git.output("bundle", "create", "--quiet", "-", ref, "^HEAD", folder=study)
        )
        + sum(output["size"] for output in kept),
    }


def create_study(
    folder: Path, seeds: Sequence[int], values: Mapping[str, object], stand_in: bool = False
) -> Path:
    """Return a clone of this repository that asks for Model 3 with these seeds and values."""
    call(ROOT, "git", "clone", "--quiet", str(ROOT), str(folder))
    wanted = {
        "seeds": list(seeds),
        "configurations": [{"id": "model-3", "model": MODEL, "description": "Model 3"}],
    }
    (folder / paths.EXPERIMENTS).write_text(yaml.safe_dump(wanted), encoding="utf-8")
    with edited(folder / paths.PARAMS) as params:
        params["train"] |= values
    if stand_in:
        shutil.copy(STAND_IN, folder)
        with edited(folder / "dvc.yaml") as pipeline:
            for name in STAGES:
                stage = pipeline["stages"][name]
                replace_command(stage.get("do", stage))
    call(folder, "git", "rm", "--quiet", "--ignore-unmatch", str(paths.RUNS))
    call(folder, "git", "config", "user.name", "A user")
    call(folder, "git", "config", "user.email", "user@example.org")
    # Not the user's habits: a signature would ask for a passphrase.
    call(folder, "git", "config", "commit.gpgsign", "false")
    call(folder, "git", "config", "core.hooksPath", os.devnull)
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "To be measured")
    return folder


@contextmanager
def edited(path: Path) -> Iterator[Any]:
    """Yield the values in a YAML file, and write them back."""
    values = yaml.safe_load(path.read_text("utf-8"))
    yield values
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def replace_command(stage: dict[str, Any]) -> None:
    """Replace a stage's command by one that only writes its outputs."""
    outputs = (output for key in ("outs", "metrics", "plots") for output in stage.get(key, []))
    names = (output if isinstance(output, str) else next(iter(output)) for output in outputs)
    stage["cmd"] = f"python {STAND_IN.name} {' '.join(names)}"


def add_nodes(cluster: Any, folder: Path, count: int, present: int = 0) -> None:
    """Add `count` nodes of one core to those present, each with a folder of its own."""
    for number in range(present, present + count):
        home = folder / f"node-{number}"
        home.mkdir(parents=True)
        local_cluster.add_node(cluster, 1, home)


def experiment(study: Path, *arguments: str) -> float:
    """Return the seconds that `make experiments` takes."""
    return timed(lambda: call(study, sys.executable, "-m", "experiments", *arguments))


def timed(do: Callable[[], object]) -> float:
    """Return the seconds that a function takes."""
    start = time.perf_counter()
    do()
    return round(time.perf_counter() - start, 2)


def call(folder: Path, *command: str) -> str:
    """Run a command and return its output. Raises UserError with the last line if it fails."""
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
        last = (done.stderr or done.stdout).decode().strip().rpartition("\n")[2]
        raise UserError(f"{' '.join(command)}: {last}")
    return done.stdout.decode()


if __name__ == "__main__":
    run(main)
