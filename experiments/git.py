"""Wrappers of Git commands."""

import re
import subprocess

from study.base.errors import UserError


def call(*arguments: str) -> str:
    """Run a command and return its output. Raises UserError if it fails."""
    return output(*arguments).decode()


def paths(*arguments: str) -> list[str]:
    """Run a command that lists paths with -z, and return them. Raises UserError if it fails."""
    return call(*arguments).split("\0")[:-1]


def output(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run a command on some input and return its output. Raises UserError if it fails."""
    try:
        # In a session of its own, Ctrl-C does not reach it.
        done = subprocess.run(
            ["git", *arguments], input=stdin, capture_output=True, start_new_session=True
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
