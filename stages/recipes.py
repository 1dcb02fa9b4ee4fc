"""Check params.yaml before anything else runs, and write the recipe of each model."""

import models
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.recipes import params_file, recipe_file


def main() -> None:
    """Write recipes/M.yaml for each model, and remove the outputs of models that are gone."""
    no_arguments()
    params = params_file.read(read_text(paths.PARAMS), models.names())
    versions = recipe_file.versions()
    for model, recipe in params.models.items():
        write(paths.recipe(model), recipe_file.to_yaml(recipe, versions))
    # DVC tracks these folders as a whole, and later stages depend on them.
    for output in paths.outputs_of_others(params.models):
        print(f"removing {output}: params.yaml does not list its model")
        output.unlink()
    write(paths.VALIDATED, "params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
