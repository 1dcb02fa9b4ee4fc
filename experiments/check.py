"""Check the run table against experiments.yaml and the committed metrics."""

import sys

from stages import paths, project_files
from stages.command import no_arguments, run
from study.evidence import run_table


def main() -> None:
    """Print a line for each contradiction, and end with status 1 if there are any."""
    no_arguments()
    recipes, rows = project_files.params().models, project_files.rows()
    runs, closed = project_files.runs(), project_files.closed()
    committed = project_files.measured(each for each in recipes if paths.metrics(each).exists())
    found = list(run_table.contradictions(rows, runs, closed, recipes, committed))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    run(main)
