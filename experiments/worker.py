"""Executes runs in its workspace, one after another: `python -m experiments.worker PARENT`.

Each run is a `dvc exp run`, as a user would call it, in a process forked from this one. DVC starts
each stage in another fork instead of a shell with a new Python. So all of them share the packages
that this process has imported: importing them takes as long as a short training.

For each line of stdin, which is a JSON list of a log file and DVC's arguments, it prints the exit
status. When the process PARENT ends, this one kills all that it has started, and ends.
"""

import copy
import importlib
import json
import multiprocessing
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

FORK = multiprocessing.get_context("fork")
STAGES = ("stages.recipes", "stages.download", "stages.train", "stages.evaluate")
"""Those that an experiment runs; any other one has more to import."""
DVC = (
    "dulwich.porcelain",
    "dvc.cli.parser",
    "dvc.repo.experiments.queue.celery",
    "dvc.stage.run",
    "dvc.utils.strictyaml",
    "hydra",
    "networkx",
    "pygit2",
    "ruamel.yaml",
)
"""Modules that `dvc exp run` imports, with what they import."""
LOCK = "dvc.lock"


def main() -> None:
    """Execute the runs that stdin asks for."""
    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    # Once for all runs, which are forks of this process.
    for name in (*STAGES, *DVC):
        importlib.import_module(name)
    fork_stages()
    parse_once()
    for line in sys.stdin:
        run = FORK.Process(target=experiment, args=json.loads(line))
        run.start()
        run.join()
        print(run.exitcode, flush=True)


def end_with(parent: int) -> None:
    """Kill this process and all that it has started when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


def experiment(log: str, arguments: list[str]) -> None:
    """Run a DVC command on the files of the commit; its output goes to a log file."""
    with Path(log).open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    restore()
    import dvc.cli

    sys.exit(dvc.cli.main(arguments))


def restore() -> None:
    """Restore the files of the commit; what only DVC keeps stays as it is."""
    git("reset", "--quiet", "--hard")
    git("clean", "--quiet", "--force", "-d")
    # Git could miss a change of DVC's to params.yaml within a second of its own: to a seed of the
    # same length, for example. It sees every change to a file that is old.
    os.utime("params.yaml", (0, 0))
    git("update-index", "--refresh")


def git(*arguments: str) -> None:
    """Run a Git command that must succeed."""
    subprocess.run(["git", *arguments], check=True)


def fork_stages() -> None:
    """Have DVC run the modules of stages in forks of this process."""
    import dvc.stage.run
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread, which could hold a lock during a fork
    in_shell = dvc.stage.run._run

    def run(executable: str, command: str, **settings: Any) -> None:
        module = re.fullmatch(r"python -m (stages\.\w+)((?: [\w.-]+)*)", command)
        if module is None:
            in_shell(executable, command, **settings)
            return
        process = FORK.Process(
            target=stage, args=(module[1], module[2].split(), settings["cwd"], settings["env"])
        )
        process.start()
        process.join()
        if process.exitcode:
            raise dvc.stage.run.StageCmdFailedError(command, process.exitcode)

    dvc.stage.run._run = run


def stage(module: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run the module of a stage as `python -m` does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # On import, it looks at the process that it runs in and at its dependencies.
    for name in [name for name in sys.modules if re.match(r"stages(\.|$)", name)]:
        del sys.modules[name]
    sys.argv = ["-m", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def parse_once() -> None:
    """Have DVC parse each text only once, and no text that it has written.

    Otherwise, it parses dvc.lock ten times a run, in Python: more work than all else that it does.
    """
    import dvc.utils.serialize._yaml as dvc_yaml
    import dvc.utils.strictyaml

    parse, dump, known = dvc_yaml.parse_yaml, dvc_yaml._dump, dict[str, Any]()

    def parse_unknown(text: str, path: Any, typ: str = "safe") -> Any:
        if typ == "rt" and not str(path).endswith(LOCK):  # to keep its comments; a lock has none
            return parse(text, path, typ)
        if text not in known:
            known[text] = parse(text, path)
        return copy.deepcopy(known[text])

    def dump_known(data: Any, stream: TextIO) -> None:
        written = StringIO()
        dump(data, written)
        known[written.getvalue()] = copy.deepcopy(data)
        stream.write(written.getvalue())

    dvc_yaml.parse_yaml = dvc.utils.strictyaml.parse_yaml = parse_unknown
    dvc_yaml._dump = dump_known
    with suppress(FileNotFoundError):
        parse_unknown(Path(LOCK).read_text("utf-8"), LOCK)


if __name__ == "__main__":
    main()
