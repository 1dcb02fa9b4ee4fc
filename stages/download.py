"""Fetch the four raw files of MNIST."""

import os

from stages import paths
from stages.command import no_arguments, run
from study.data import sources


def main() -> None:
    """Fetch what data/mnist lacks; the variable MNIST_FOLDER may name a folder that has it."""
    no_arguments()
    sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))


if __name__ == "__main__":
    run(main)
