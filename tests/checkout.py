"""A checkout of this repository elsewhere, in which commands run as a user's would."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import yaml
from dvc.repo import Repo

ROOT = Path(__file__).parent.parent
OUTPUTS = ("data", "recipes", "weights", "summaries", "predictions", "metrics", "reports", "page")
COMPILED = "study/**/*.nbc"
FOREIGN = ("DVC_", "GIT_", "MAKE", "MFLAGS")
"""Prefixes of the variables of whatever runs the tests: make, a Git hook, a DVC stage."""


class Checkout:
    """A Git repository with its own DVC cache and configuration."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = environment

    @classmethod
    def create(cls, folder: Path, mnist: Path) -> Self:
        """Commit, in `folder`, the files as they are here; `download` copies MNIST from `mnist`.

        The files are those that Git tracks or would add, so no outputs that only DVC keeps.
        """
        root = folder / "checkout"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        # To compile the kernels would take half a minute.
        compiled = (str(path.relative_to(ROOT)) for path in ROOT.glob(COMPILED))
        for name in [*names.decode().split("\0"), *compiled]:
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)

        environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)} | {
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / "system"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "MNIST_FOLDER": str(mnist),
            "COLUMNS": "100",
            # As in a terminal that a notebook has started.
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            # dvc.yaml says `python`, which must be the one that runs the tests.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        checkout = cls(root, environment)
        checkout.run("git", "init", "--quiet", "--initial-branch=main")
        checkout.run("git", "config", "user.name", "A user")
        checkout.run("git", "config", "user.email", "user@example.org")
        checkout.commit("As it is")
        return checkout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command as a terminal does; its `stdout` has everything that it writes.

        It runs in a process group of its own, which Ctrl-C reaches. It ends on Ctrl-C and on a
        hang-up even if whatever runs the tests ignores them: a shell's background, or nohup.
        """
        ends = (signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, signal.SIG_DFL) for number in ends}
        try:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                start_new_session=True,
            )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def attempt(self, *command: str) -> tuple[int, str]:
        """Run a command and return its exit status and everything that it wrote."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=1800,
        )
        return done.returncode, done.stdout

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return everything that it wrote."""
        status, output = self.attempt(*command)
        assert status == 0, f"{' '.join(command)} ended with status {status}:\n{output}"
        return output

    def due(self) -> list[str]:
        """Return the stages that `dvc status` lists, sorted: those that an edit concerns directly.

        `dvc repro` would run more if their outputs change. In this process, because the start of
        DVC takes two seconds.
        """
        with patch.dict(os.environ, self.environment), Repo(str(self.root)) as repo:
            # Elsewhere than in the checkout, the path of dvc.yaml precedes the name.
            return sorted(name.rpartition(":")[2] for name in repo.status())

    def restore_outputs(self) -> None:
        """Go back to the outputs in dvc.lock; in this process, as above."""
        with patch.dict(os.environ, self.environment), Repo(str(self.root)) as repo:
            repo.checkout(force=True)

    def changed(self) -> list[str]:
        """Return the paths that Git sees as changed or new."""
        return self.run("git", "status", "--porcelain", "--untracked-files=all").split()[1::2]

    def outputs(self) -> dict[str, bytes]:
        """Return every existing output of a stage, by its path."""
        files = (path for folder in OUTPUTS for path in self.root.glob(f"{folder}/**/*"))
        return {str(f.relative_to(self.root)): f.read_bytes() for f in files if f.is_file()}

    def commit(self, message: str) -> None:
        """Commit all changes."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def restore(self) -> None:
        """Go back to the last commit; what only DVC keeps stays as it is."""
        # Git compares times in whole seconds. Together with DVC, which writes the index, it misses
        # an edit to params.yaml of the same length within a second of a checkout.
        params = self.root / "params.yaml"
        params.touch()
        self.run("git", "reset", "--quiet", "--hard")
        self.run("git", "clean", "--quiet", "--force", "-d")
        os.utime(params, (0, 0))
        self.run("git", "update-index", "--refresh")

    def append_comment(self, *names: str) -> None:
        """Edit source files in a way that changes nothing but their content."""
        for name in names:
            with (self.root / name).open("r+", encoding="utf-8") as file:
                file.seek(0, os.SEEK_END)
                file.write("# edited\n")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one place of a file where `old` is."""
        text = (self.root / name).read_text("utf-8")
        assert text.count(old) == 1
        (self.root / name).write_text(text.replace(old, new), encoding="utf-8")

    def set(self, values: Mapping[str, object]) -> None:
        """Give params.yaml other values, by dotted key such as train.dropout."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text("utf-8"))
        for key, value in values.items():
            mapping, last = place(params, key)
            mapping[last] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def place(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the mapping that a dotted key such as train.dropout leads to, and the key in it."""
    *above, last = key.split(".")
    for name in above:
        values = values[name]
    return values, last


def stages_run(output: str) -> list[str]:
    """Return the stages that DVC ran, sorted; not those that it skipped or took from its cache."""
    return sorted(re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE))
