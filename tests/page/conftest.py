"""What the tests of the page share."""

from pathlib import Path

import pytest

import models
from tests.page.page_study import PageStudy


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> PageStudy:
    """A study of all models, with its page."""
    return PageStudy.create(tmp_path_factory.mktemp("page"), mnist_folder, models.names())
