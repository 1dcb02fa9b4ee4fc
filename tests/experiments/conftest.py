"""A Git repository to run experiments in."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import git
from stages.lifetime import SIGNALS
from tests.experiments.examples import commit


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield an empty repository with one commit, which is also the current directory."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    git.call("init", "--quiet")
    git.call("config", "user.name", "A user")
    git.call("config", "user.email", "user@example.org")
    commit("First")
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield root
    for number, handler in handlers.items():
        signal.signal(number, handler)
