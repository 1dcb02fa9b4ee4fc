"""Fetch the four raw files of MNIST."""

import os

from stages import paths
from stages.command import no_arguments, run
from study.data import sources


def main() -> None:
    """Fetch the files missing from data/mnist; MNIST_FOLDER may name a folder that has them."""
    no_arguments()
    sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))


if __name__ == "__main__":
    run(main)
