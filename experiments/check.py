"""Hold the ledger against experiments.yaml and the metrics: a line for each contradiction."""

import json
import sys

from experiments import files
from stages import paths
from stages.command import run
from study import ledger, parameters
from study.files import text


def main() -> None:
    """Print the contradictions and end with status 1 when there are any."""
    values, runs, rows = files.values(), files.runs(), files.rows()
    trained = sorted({row.model for row in rows if ledger.valid(row, runs)})
    recipes = {model: parameters.recipe(values, model) for model in trained}
    metrics = {
        model: json.loads(text(paths.metrics(model)))
        for model in trained
        if paths.metrics(model).exists()
    }
    found = list(ledger.contradictions(rows, runs, recipes, metrics))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    run(main)
