"""Put one model's metrics in the candidate's place, so that `dvc metrics diff` compares models."""

from stages import paths
from stages.command import model_argument, run
from study.files import replace


def main() -> None:
    """Copy the metrics of the model that the command names."""
    metrics = paths.metrics(model_argument()).read_bytes()
    with replace(paths.CANDIDATE) as path:
        path.write_bytes(metrics)


if __name__ == "__main__":
    run(main)
