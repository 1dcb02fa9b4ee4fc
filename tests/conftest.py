"""What the tests share."""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

from pathlib import Path

import pytest

from stages import paths
from study import mnist, sources

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def mnist_folder(pytestconfig: pytest.Config) -> Path:
    """The four raw files: the repository's own, or fetched once for all test runs."""
    own = ROOT / paths.MNIST
    if all((own / name).exists() for name in mnist.SHA256):
        return own
    folder = pytestconfig.cache.mkdir("mnist")
    sources.download(folder, sources.known(None))
    return folder
