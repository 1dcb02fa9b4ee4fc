"""Wrappers of Git commands."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from study.base.errors import UserError


def call(*arguments: str, folder: Path = Path()) -> str:
    """Run a command in a folder and return its output. Raises UserError if it fails."""
    return output(*arguments, folder=folder).decode()


def paths(*arguments: str) -> list[str]:
    """Run a command that lists paths with -z, and return them. Raises UserError if it fails."""
    return call(*arguments).split("\0")[:-1]


def identity() -> Mapping[str, str]:
    """Return Git's user.name and user.email here, if they are configured."""
    lines = call("config", "--list").splitlines()
    configured = dict(line.partition("=")[::2] for line in lines)
    return {key: configured[key] for key in ("user.name", "user.email") if key in configured}


def output(*arguments: str, stdin: bytes = b"", folder: Path = Path()) -> bytes:
    """Run a command on some input and return its output. Raises UserError if it fails."""
    try:
        # In a session of its own, Ctrl-C does not reach it.
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise UserError("Git is not installed; install it") from None
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {reason(done.stderr.decode(errors='replace'))}")
    return done.stdout


def reason(message: str) -> str:
    """Return the first line of Git's error message, and the command that it recommends, if any."""
    first = message.strip().partition("\n")[0]
    remedy = re.search(r"(?m)^\s+(git .+)$", message)
    return f"{first}; run `{remedy[1]}`" if remedy else first
