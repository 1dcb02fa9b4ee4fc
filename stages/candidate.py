"""Copy a model's metrics to metrics/candidate.json, so that `dvc metrics diff` compares models."""

from stages import paths
from stages.command import model_argument, run
from study.base.files import write


def main() -> None:
    """Copy the metrics of the model that the command names."""
    write(paths.CANDIDATE, paths.metrics(model_argument()).read_bytes())


if __name__ == "__main__":
    run(main)
