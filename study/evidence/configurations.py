"""experiments.yaml: configurations, each run with several seeds."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import yaml

from study.base.errors import UserError, quote
from study.base.yaml_io import compose
from study.recipes import params_file
from study.recipes.recipe import Recipe

# Of an entry in experiments.yaml.
NEEDED = ("id", "model", "description")
OPTIONAL = ("set", "seeds")


@dataclass(frozen=True)
class Run:
    """One experiment with one seed."""

    experiment: str
    """Its id."""
    model: str
    description: str
    recipe: Recipe
    overrides: tuple[str, ...]
    """Where it departs from params.yaml, as `dvc exp run -S` takes it: `train.dropout=0.15`."""

    @property
    def name(self) -> str:
        """What the run is called, in DVC, too."""
        return run_name(self.experiment, self.recipe.seed)


def run_name(experiment: str, seed: int) -> str:
    """Return what an experiment's run with a seed is called."""
    return f"{experiment}-seed-{seed}"


def read(text: str, values: Mapping[str, object], models: Collection[str]) -> dict[str, Run]:
    """Return the runs that the text of experiments.yaml asks for, by name.

    Those with the first of their seeds come first. `values` are params.yaml's by dotted key,
    `models` the models that exist. Raises UserError, which names the line, for what is unknown,
    missing, out of range or there twice.
    """
    top = parse(text)
    common = read_seeds(top["seeds"], values)
    ids: dict[str, str] = {}
    configurations: dict[tuple[str, Recipe], str] = {}
    experiments: list[tuple[Run, list[int]]] = []
    for node in items(top["experiments"]):
        run, own = read_experiment(node, values, models)
        if earlier := ids.get(run.experiment):
            raise UserError(
                f"{at(node)}: id = {run.experiment}: also the id in {earlier}; give it another"
            )
        if earlier := configurations.get((run.model, run.recipe)):
            raise UserError(
                f"{at(node)}: {run.experiment}: the same configuration as {earlier}; remove one"
            )
        ids[run.experiment] = at(node)
        configurations[run.model, run.recipe] = run.experiment
        experiments.append((run, own or common))
    runs: dict[str, Run] = {}
    for seeds in zip_longest(*(seeds for _, seeds in experiments)):
        for (plain, _), seed in zip(experiments, seeds, strict=True):
            if seed is not None:
                run = with_seed(plain, seed, values)
                runs[run.name] = run
    return runs


def descriptions(text: str) -> dict[str, str]:
    """Return what each experiment is, by its id, without a look at what it sets. Raises UserError.

    That needs no params.yaml, so it stays the same in an experiment that changes a value there.
    """
    found = (entries(node, NEEDED, OPTIONAL) for node in items(parse(text)["experiments"]))
    return {word(fields["id"]): word(fields["description"]) for fields in found}


def parse(text: str) -> dict[str, yaml.Node]:
    """Take the text of experiments.yaml apart: its seeds and its experiments."""
    root = compose("experiments.yaml", text)
    if root is None:
        raise UserError("experiments.yaml: is empty; `git restore experiments.yaml` mends that")
    return entries(root, ("seeds", "experiments"))


def read_seeds(node: yaml.Node, values: Mapping[str, object]) -> list[int]:
    """Return the seeds, each once."""
    seeds: list[int] = []
    train = params_file.children(values, "train.")
    for item in items(node):
        seed = Recipe.parse(train | {"seed": word(item)}, f"{at(item)}: ").seed
        if seed in seeds:
            raise UserError(f"{at(item)}: seed = {seed}: stands here twice; remove one")
        seeds.append(seed)
    return seeds


def read_experiment(
    node: yaml.Node, values: Mapping[str, object], models: Collection[str]
) -> tuple[Run, list[int]]:
    """Return one experiment, with the seed of params.yaml, and the seeds of its own."""
    fields = entries(node, NEEDED, OPTIONAL)
    name, model = word(fields["id"]), word(fields["model"])
    if not re.fullmatch("[a-z0-9]+([.-][a-z0-9]+)*", name):
        raise UserError(
            f"{at(fields['id'])}: id = {quote(name)}: give small letters and digits, joined by -"
            " or ."
        )
    if model not in models:
        raise UserError(
            f"{at(fields['model'])}: model = {quote(model)}: give one of {', '.join(models)}"
        )
    places = params_file.places(values, model)
    changed: dict[str, str] = {}
    if "set" in fields:
        known = [place for key, place in places.items() if key != "seed"]
        changed = {key: word(value) for key, value in entries(fields["set"], (), known).items()}
    recipe = Recipe.parse(
        {key: changed.get(place, values[place]) for key, place in places.items()},
        f"{at(fields.get('set', node))}: ",
    )
    overrides = tuple(f"{key}={value}" for key, value in changed.items())
    seeds = read_seeds(fields["seeds"], values) if "seeds" in fields else []
    return Run(name, model, word(fields["description"]), recipe, overrides), seeds


def with_seed(run: Run, seed: int, values: Mapping[str, object]) -> Run:
    """Return the same experiment with another seed."""
    place = params_file.places(values, run.model)["seed"]
    return Run(
        run.experiment,
        run.model,
        run.description,
        run.recipe.model_copy(update={"seed": seed}),
        (*run.overrides, f"{place}={seed}"),
    )


def at(node: yaml.Node) -> str:
    """Where a node begins."""
    return f"experiments.yaml line {node.start_mark.line + 1}"


def entries(
    node: yaml.Node, needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, yaml.Node]:
    """Take a mapping apart, which may have these keys and no other."""
    known = ", ".join((*needed, *optional))
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{at(node)}: give keys with values here; known: {known}")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{at(key)}: give a single word as a key; known here: {known}")
        if key.value in found:
            raise UserError(f"{at(key)}: {quote(key.value)}: stands here twice; remove one")
        if key.value not in (*needed, *optional):
            raise UserError(f"{at(key)}: {quote(key.value)}: unknown; known here: {known}")
        found[key.value] = value
    for name in needed:
        if name not in found:
            raise UserError(f"{at(node)}: {name} is missing")
    return found


def items(node: yaml.Node) -> list[yaml.Node]:
    """Take a list apart, which has something in it."""
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise UserError(f"{at(node)}: give a list of at least one here")
    return list(node.value)


def word(node: yaml.Node) -> str:
    """Return a single value as it is written."""
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise UserError(f"{at(node)}: give a single value here")
    return " ".join(node.value.split())
