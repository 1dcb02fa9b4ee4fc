"""What the tests share."""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

from pathlib import Path

import pytest

from stages import paths
from study.data import raw, sources
from tests.faults.table import Table

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=Path, help="write the table of faults to this file")


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--faults"):
        config.pluginmanager.register(Table(path))


@pytest.fixture(scope="session")
def mnist_folder(pytestconfig: pytest.Config) -> Path:
    """The four raw files: the repository's own, or fetched once for all test runs."""
    own = ROOT / paths.MNIST
    if all((own / name).exists() for name in raw.SHA256):
        return own
    folder = pytestconfig.cache.mkdir("mnist")
    sources.download(folder, sources.known(None))
    return folder
