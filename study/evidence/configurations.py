"""experiments.yaml: configurations, each run with several seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import yaml

from study.base.errors import UserError, quote
from study.base.yaml_io import load
from study.recipes.params_file import Params
from study.recipes.recipe import Recipe

# Keys of a configuration in experiments.yaml.
NEEDED = ("id", "model", "description")
OPTIONAL = ("default", "set", "seeds")


@dataclass(frozen=True)
class Plan:
    """The configurations in experiments.yaml, without the values in params.yaml."""

    descriptions: dict[str, str]
    """Description of each configuration, by id."""
    defaults: dict[str, str]
    """The model of each configuration that is a model as params.yaml has it, by id."""
    final: str | None
    """Id of the configuration that aims at the target, if any."""


@dataclass(frozen=True)
class Run:
    """A configuration with one seed."""

    configuration: str
    """Id of the configuration."""
    model: str
    description: str
    recipe: Recipe
    overrides: tuple[str, ...]
    """Where it departs from params.yaml, as `dvc exp run -S` takes it: `train.dropout=0.15`."""

    @property
    def name(self) -> str:
        """Name of the run, also in DVC."""
        return run_name(self.configuration, self.recipe.seed)


def run_name(configuration: str, seed: int) -> str:
    """Return the name of the run of a configuration with a seed."""
    return f"{configuration}-seed-{seed}"


def runs(text: str, params: Params) -> dict[str, Run]:
    """Return the runs that the text of experiments.yaml asks for, by name.

    Runs with the first seed of their configuration come first. Raises UserError with the line of
    anything unknown, missing, out of range or duplicate.
    """
    top = parse(text)
    common = read_seeds(top["seeds"])
    ids: dict[str, str] = {}
    known: dict[tuple[str, Recipe], str] = {}
    found: list[tuple[Run, list[int]]] = []
    for node in items(top["configurations"]):
        run, own = read_configuration(node, params)
        if earlier := ids.get(run.configuration):
            raise UserError(
                f"{at(node)}: id = {run.configuration}: also the id in {earlier}; give it another"
            )
        if earlier := known.get((run.model, run.recipe)):
            raise UserError(
                f"{at(node)}: {run.configuration}: the same configuration as {earlier}; remove one"
            )
        ids[run.configuration] = at(node)
        known[run.model, run.recipe] = run.configuration
        found.append((run, own or common))
    runs: dict[str, Run] = {}
    for seeds in zip_longest(*(seeds for _, seeds in found)):
        for (plain, _), seed in zip(found, seeds, strict=True):
            if seed is not None:
                run = with_seed(plain, seed, params)
                runs[run.name] = run
    return runs


def read(text: str) -> Plan:
    """Return the plan in the text of experiments.yaml. Raises UserError.

    It does not depend on params.yaml, so an experiment that changes a value there leaves it as it
    is.
    """
    top = parse(text)
    descriptions: dict[str, str] = {}
    defaults: dict[str, str] = {}
    for node in items(top["configurations"]):
        fields = entries(node, NEEDED, OPTIONAL)
        name, model = word(fields["id"]), word(fields["model"])
        descriptions[name] = word(fields["description"])
        if "default" in fields and is_true(fields["default"]):
            if model in defaults.values():
                raise UserError(
                    f"{at(fields['default'])}: {model} already has a default configuration"
                )
            defaults[name] = model
    final = word(top["final"]) if "final" in top else None
    if final is not None and final not in descriptions:
        raise UserError(f"{at(top['final'])}: final = {quote(final)}: give an id in this file")
    return Plan(descriptions, defaults, final)


def is_true(node: yaml.Node) -> bool:
    """Return the truth value in a node. Raises UserError."""
    if (text := word(node)) not in ("true", "false"):
        raise UserError(f"{at(node)}: default must be true or false, got {quote(text)}")
    return text == "true"


def parse(text: str) -> dict[str, yaml.Node]:
    """Return the top-level nodes of experiments.yaml."""
    load("experiments.yaml", text)
    root = yaml.compose(text, yaml.SafeLoader)
    if root is None:
        raise UserError("experiments.yaml: is empty; `git restore experiments.yaml` mends that")
    return entries(root, ("seeds", "configurations"), ("final",))


def read_seeds(node: yaml.Node) -> list[int]:
    """Return the seeds, each once."""
    seeds: list[int] = []
    for item in items(node):
        text = word(item)
        if not text.isdecimal() or int(text) >= 2**32:
            raise UserError(
                f"{at(item)}: seed must be an integer in [0, {2**32}), got {quote(text)}"
            )
        if int(text) in seeds:
            raise UserError(f"{at(item)}: seed {int(text)} is a duplicate; remove one")
        seeds.append(int(text))
    return seeds


def read_configuration(node: yaml.Node, params: Params) -> tuple[Run, list[int]]:
    """Return one configuration, with the seed in params.yaml, and its own seeds."""
    fields = entries(node, NEEDED, OPTIONAL)
    name, model = word(fields["id"]), word(fields["model"])
    if not re.fullmatch("[a-z0-9]+([.-][a-z0-9]+)*", name):
        raise UserError(
            f"{at(fields['id'])}: id must be lowercase letters and digits, joined by - or .,"
            f" got {quote(name)}"
        )
    if model not in params.models:
        raise UserError(
            f"{at(fields['model'])}: model must be one of {', '.join(params.models)},"
            f" got {quote(model)}"
        )
    keys = {place: key for key, place in params.places[model].items() if key != "seed"}
    changed: dict[str, str] = {}
    if "set" in fields:
        changed = {key: word(value) for key, value in entries(fields["set"], (), [*keys]).items()}
    recipe = Recipe.parse(
        params.models[model].model_dump()
        | {keys[place]: value for place, value in changed.items()},
        f"{at(fields.get('set', node))}: ",
    )
    overrides = tuple(f"{place}={value}" for place, value in changed.items())
    seeds = read_seeds(fields["seeds"]) if "seeds" in fields else []
    return Run(name, model, word(fields["description"]), recipe, overrides), seeds


def with_seed(run: Run, seed: int, params: Params) -> Run:
    """Return the same configuration with another seed."""
    return replace(
        run,
        recipe=run.recipe.model_copy(update={"seed": seed}),
        overrides=(*run.overrides, f"{params.places[run.model]['seed']}={seed}"),
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
