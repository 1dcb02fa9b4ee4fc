"""Check the run table against experiments.yaml and the committed metrics."""

import json
import sys

from experiments import project_files
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text
from study.evidence import run_table


def main() -> None:
    """Print a line for each contradiction, and end with status 1 if there are any."""
    no_arguments()
    recipes, rows = project_files.params().models, project_files.rows()
    runs, closed = project_files.runs(), project_files.closed()
    metrics = {
        model: json.loads(read_text(paths.metrics(model)))
        for model in recipes
        if paths.metrics(model).exists()
    }
    found = list(run_table.contradictions(rows, runs, closed, recipes, metrics))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    run(main)
