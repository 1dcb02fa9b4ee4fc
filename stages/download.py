"""Fetch the four raw files of MNIST."""

import os

from stages import paths
from stages.command import run
from study.data import sources


def main() -> None:
    """Fetch what data/mnist lacks; MNIST_FOLDER may name a folder that has it."""
    sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))


if __name__ == "__main__":
    run(main)
