"""Check the run table against experiments.yaml and the committed metrics."""

import sys

from experiments import project_files
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text
from study.evaluation import metrics
from study.evidence import run_table


def main() -> None:
    """Print a line for each contradiction, and end with status 1 if there are any."""
    no_arguments()
    recipes, rows = project_files.params().models, project_files.rows()
    runs, closed = project_files.runs(), project_files.closed()
    committed = {
        model: metrics.from_json(str(path), read_text(path))
        for model in recipes
        if (path := paths.metrics(model)).exists()
    }
    found = list(run_table.contradictions(rows, runs, closed, recipes, committed))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    run(main)
