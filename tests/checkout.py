"""A checkout of this repository elsewhere, in which commands run as a user's would."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import yaml

ROOT = Path(__file__).parent.parent
OUTPUTS = ("data", "weights", "summaries", "predictions", "metrics", "reports")


class Checkout:
    """A Git repository of its own, with its own DVC cache and configuration."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = environment

    @classmethod
    def create(cls, folder: Path, mnist: Path) -> Self:
        """Commit, in `folder`, the files as they are here; `mnist` is where `download` finds MNIST.

        The files are those that Git knows or would add, so no outputs that DVC keeps.
        """
        root = folder / "checkout"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        for name in names.decode().split("\0"):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)

        # Neither what calls the tests (make, a Git hook, a DVC stage) nor what the user has
        # configured for all repositories is to reach the commands.
        foreign = ("DVC_", "GIT_", "MAKE", "MFLAGS")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | {
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / "system"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "MNIST_FOLDER": str(mnist),
            "COLUMNS": "100",
            # dvc.yaml says `python`, which is to be the one that runs the tests.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        checkout = cls(root, environment)
        checkout.run("git", "init", "--quiet", "--initial-branch=main")
        checkout.run("git", "config", "user.name", "A user")
        checkout.run("git", "config", "user.email", "user@example.org")
        checkout.commit("As it is")
        return checkout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command here as a terminal does; its `stdout` has all that it writes.

        It is in a process group of its own, which Ctrl-C reaches, and ends on that and on a
        hang-up, whatever runs the tests ignores: a shell's background, or nohup.
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

    def outputs(self) -> dict[str, bytes]:
        """Return every output of a stage that is there, by its path."""
        files = (path for folder in OUTPUTS for path in self.root.glob(f"{folder}/**/*"))
        return {str(f.relative_to(self.root)): f.read_bytes() for f in files if f.is_file()}

    def attempt(self, *command: str) -> tuple[int, str]:
        """Run a command here and return its exit status and all that it wrote."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=600,
        )
        return done.returncode, done.stdout

    def run(self, *command: str) -> str:
        """Run a command here, which is to succeed, and return all that it wrote."""
        status, output = self.attempt(*command)
        assert status == 0, f"{' '.join(command)} ended with status {status}:\n{output}"
        return output

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def restore(self) -> None:
        """Go back to the last commit; what DVC keeps stays as it is."""
        # DVC leaves Git in the belief that params.yaml is as committed when a value was replaced
        # by one of the same length within a second.
        (self.root / "params.yaml").touch()
        self.run("git", "reset", "--quiet", "--hard")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one place of a file where `old` stands."""
        text = (self.root / name).read_text("utf-8")
        assert text.count(old) == 1
        (self.root / name).write_text(text.replace(old, new), encoding="utf-8")

    def set(self, values: Mapping[str, object]) -> None:
        """Give params.yaml other values, by dotted key: train.dropout."""
        path = self.root / "params.yaml"
        parameters = yaml.safe_load(path.read_text("utf-8"))
        for key, value in values.items():
            *above, last = key.split(".")
            mapping = parameters
            for name in above:
                mapping = mapping[name]
            mapping[last] = value
        path.write_text(yaml.safe_dump(parameters, sort_keys=False), encoding="utf-8")
