"""Hold the ledger against experiments.yaml and the metrics: a line for each contradiction."""

import json
import sys

from experiments import files
from stages import paths
from stages.command import run
from study.base.files import read_text
from study.evidence import run_table
from study.recipes import params_file


def main() -> None:
    """Print the contradictions and end with status 1 when there are any."""
    values, runs, rows = files.values(), files.runs(), files.rows()
    trained = sorted({row.model for row in rows if run_table.valid(row, runs)})
    recipes = {model: params_file.recipe(values, model) for model in trained}
    metrics = {
        model: json.loads(read_text(paths.metrics(model)))
        for model in trained
        if paths.metrics(model).exists()
    }
    found = list(run_table.contradictions(rows, runs, recipes, metrics))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    run(main)
