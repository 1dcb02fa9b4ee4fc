"""What the tests share."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from stages import paths
from study.data import raw, sources
from tests.faults import table

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=Path, help="write the table of faults to this file")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["DVC_TEST"] = "1"  # DVC sends nobody any statistics
    config.pluginmanager.register(table.Marks())
    # The workers of pytest-xdist report to the process that has started them.
    if (path := config.getoption("--faults")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(table.Table(path))


@pytest.fixture(scope="session")
def mnist_folder(pytestconfig: pytest.Config) -> Path:
    """The four raw files: the repository's own, or fetched once for all test runs."""
    own = ROOT / paths.MNIST
    if all((own / name).exists() for name in raw.SHA256):
        return own
    folder = pytestconfig.cache.mkdir("mnist")
    with FileLock(folder.with_suffix(".lock")):  # one worker fetches, the others wait
        sources.download(folder, sources.known(None))
    return folder
