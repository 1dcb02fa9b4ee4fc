"""A network on paper: its torchsummary table and its receptive fields."""

import models
from stages import paths
from stages.command import model_argument, run
from study import receptive_field, summary
from study.files import replace

IMAGE = (1, 28, 28)


def main() -> None:
    """Write both tables of the model that the command names."""
    model = model_argument()
    # Neither table shows the dropout rate, so neither depends on the recipe.
    network = models.build(model, dropout=0.0)
    with replace(paths.summary(model)) as path:
        path.write_text(summary.table(network, IMAGE), encoding="utf-8")
    with replace(paths.receptive_field(model)) as path:
        table = receptive_field.table(network, IMAGE)
        path.write_text(receptive_field.to_csv(table), encoding="utf-8")


if __name__ == "__main__":
    run(main)
