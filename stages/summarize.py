"""Write the torchsummary and receptive-field tables of one network."""

from stages import paths
from stages.command import model_argument, run
from study import engine
from study.base.files import write
from study.networks import building, model_summary, receptive_field
from study.networks.building import IMAGE


def main() -> None:
    """Write both tables of the model that the command names, and what trains it."""
    model = model_argument()
    # Neither table shows the dropout rate, so neither depends on the recipe.
    network = building.build(model, dropout=0.0)
    reason = engine.unsupported_reason(network)
    trained_by = f"PyTorch: {reason}" if reason else "the engine"
    table = model_summary.table(network, IMAGE)
    write(paths.summary(model), f"{table}Trained on a CPU by {trained_by}\n")
    fields = receptive_field.table(network, IMAGE)
    write(paths.receptive_field(model), receptive_field.to_csv(fields))


if __name__ == "__main__":
    run(main)
