"""Git's commands."""

import subprocess

from study.base.errors import UserError


def call(*arguments: str) -> str:
    """Run a command and return what it wrote. Raises UserError when it fails."""
    return output(*arguments).decode()


def output(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run a command on some input, and return the bytes that it wrote. Raises UserError."""
    try:
        # In a session of its own, Ctrl-C does not reach it.
        done = subprocess.run(
            ["git", *arguments], input=stdin, capture_output=True, start_new_session=True
        )
    except FileNotFoundError:
        raise UserError("git: no such program; install it") from None
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.decode().strip().partition(chr(10))[0]}")
    return done.stdout
