"""experiments.yaml: the configurations, each run with several seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from study.base.errors import UserError, quote
from study.base.yaml_io import Document, load
from study.recipes.params_file import Params
from study.recipes.recipe import Recipe

NAME = "experiments.yaml"


def well_formed(name: str) -> str:
    """Return an id. Raises ValueError if it is not valid as a name in Git and DVC."""
    if not re.fullmatch("[a-z0-9]+([.-][a-z0-9]+)*", name):
        raise ValueError("must be lowercase letters and digits, joined by - or .")
    return name


def without_duplicates(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return seeds. Raises ValueError if one occurs twice."""
    if len(set(seeds)) < len(seeds):
        raise ValueError("must not have duplicates")
    return seeds


def seed_range(text: str) -> tuple[int, ...]:
    """Return the seeds that a text such as `1-30` or `7` stands for. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not found or not first <= last < first + 10_000:
        raise ValueError("must be a range of at most 10,000 seeds such as 1-30")
    return tuple(range(first, last + 1))


def as_seeds(value: object) -> object:
    """Return the seeds of a range as a list.

    Raises ValueError, also for a number, which could be a seed or how many there are.
    """
    if isinstance(value, int):
        raise ValueError("must be a range such as 1-30, or a list such as [1, 2]")
    return seed_range(value) if isinstance(value, str) else value


def as_text(value: object) -> str:
    """Return a value as `dvc exp run -S` takes it. Raises ValueError for a list or a mapping."""
    if value is None or isinstance(value, list | dict):
        raise ValueError("must be a single value")
    return str(value).lower() if isinstance(value, bool) else str(value)


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**32)], ...],
    Field(min_length=1),
    BeforeValidator(as_seeds),
    AfterValidator(without_duplicates),
]
"""A list, or a range such as 1-30."""


class Configuration(BaseModel):
    """A model with a recipe, to be run with several seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, AfterValidator(well_formed)]
    model: str
    description: Annotated[str, Field(min_length=1)]
    default: bool = False
    """True if this is the model as params.yaml has it."""
    recipe: str | None = None
    """The model whose recipe is used, except the seed; None for the model's own."""
    overrides: dict[str, Annotated[str, BeforeValidator(as_text)]] = Field(default={}, alias="set")
    """Overrides of params.yaml, by dotted key."""
    seeds: Seeds | None = None
    """Its own seeds; None for the common ones."""


class Closed(BaseModel):
    """A trial that is over. Its rows stay; the commit in their revision has model and recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, AfterValidator(well_formed)]
    description: Annotated[str, Field(min_length=1)]


class ExperimentsFile(BaseModel):
    """The contents of experiments.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: Seeds
    final: str | None = None
    """Id of the configuration that aims at the target, if any."""
    configurations: Annotated[tuple[Configuration, ...], Field(min_length=1)]
    closed: tuple[Closed, ...] = ()

    @property
    def seeds_of(self) -> dict[str, Seeds]:
        """Seeds of each configuration, its own or the common ones, by id."""
        return {each.id: each.seeds or self.seeds for each in self.configurations}

    @property
    def descriptions(self) -> dict[str, str]:
        """Description of each configuration and closed trial, by id."""
        closed = {each.id: each.description for each in self.closed}
        return {each.id: each.description for each in self.configurations} | closed

    @property
    def defaults(self) -> dict[str, str]:
        """The model of each default configuration, by id."""
        return {each.id: each.model for each in self.configurations if each.default}


@dataclass(frozen=True)
class Run:
    """A configuration with one seed."""

    configuration: str
    """Id of the configuration."""
    model: str
    description: str
    recipe: Recipe
    overrides: tuple[str, ...]
    """Overrides of params.yaml for `dvc exp run -S`: `train.dropout=0.15`."""

    @property
    def name(self) -> str:
        """Name of the run, also in DVC."""
        return run_name(self.configuration, self.recipe.seed)


def run_name(configuration: str, seed: int) -> str:
    """Return the name of the run of a configuration with a seed."""
    return f"{configuration}-seed-{seed}"


def read(text: str) -> ExperimentsFile:
    """Return the contents of the text of experiments.yaml.

    They do not depend on params.yaml, so an experiment that changes a value there does not change
    them. Raises UserError, with the line, for anything unknown, missing or duplicate.
    """
    return _read(text)[1]


def _read(text: str) -> tuple[Document, ExperimentsFile]:
    """Return the contents of the text of experiments.yaml, and the lines of its values."""
    document = load(NAME, text)
    file = document.to(ExperimentsFile)
    ids: dict[str, str] = {}
    default_of: dict[str, str] = {}
    groups: dict[str, Sequence[Configuration | Closed]] = {
        "configurations": file.configurations,
        "closed": file.closed,
    }
    for group, members in groups.items():
        for number, member in enumerate(members):
            name, where = member.id, document.at(group, number, "id")
            if name in ids:
                raise UserError(f"{where}: duplicate id {name}, also in {ids[name]}; rename one")
            ids[name] = where
    for number, each in enumerate(file.configurations):
        if not each.default:
            continue
        where = document.at("configurations", number, "default")
        if each.overrides or each.recipe:
            raise UserError(
                f"{where}: default must be false if there is `set` or `recipe`, got true"
            )
        if each.model in default_of:
            raise UserError(
                f"{where}: default must be true for one configuration of {each.model},"
                f" got {default_of[each.model]} and {each.id}"
            )
        default_of[each.model] = each.id
    if file.final is not None and file.final not in {each.id for each in file.configurations}:
        raise UserError(
            f"{document.at('final')}: final must be the id of a configuration,"
            f" got {quote(file.final)}"
        )
    return document, file


def runs(text: str, params: Params) -> dict[str, Run]:
    """Return the runs that the text of experiments.yaml asks for, by name.

    Runs with the first seed of their configuration come first. Raises UserError, with the line, for
    anything unknown, missing, out of range or duplicate.
    """
    document, file = _read(text)
    seeds_of = file.seeds_of
    known: dict[tuple[str, Recipe], str] = {}
    found: list[tuple[Run, tuple[int, ...]]] = []
    for number, each in enumerate(file.configurations):
        run = _run(each, params, document, number)
        if earlier := known.get((run.model, run.recipe)):
            raise UserError(
                f"{document.at('configurations', number)}: {each.id} has the same model and recipe"
                f" as {earlier}; remove one"
            )
        known[run.model, run.recipe] = each.id
        found.append((run, seeds_of[each.id]))
    in_order = (
        with_seed(run, seed, params)
        for seeds in zip_longest(*(seeds for _, seeds in found))
        for (run, _), seed in zip(found, seeds, strict=True)
        if seed is not None
    )
    return {run.name: run for run in in_order}


def _run(configuration: Configuration, params: Params, document: Document, number: int) -> Run:
    """Return a configuration with the seed in params.yaml."""
    model, overrides = configuration.model, configuration.overrides
    for key, name in (("model", model), ("recipe", configuration.recipe or model)):
        if name not in params.models:
            raise UserError(
                f"{document.at('configurations', number, key)}: {key} must be one of"
                f" {', '.join(params.models)}, got {quote(name)}"
            )
    keys = {place: key for key, place in params.places[model].items() if key != "seed"}
    for place in overrides:
        if place not in keys:
            # Where params.yaml has this key for the model: at another place than the user thinks.
            same = [known for known in keys if known.rpartition(".")[2] == place.rpartition(".")[2]]
            raise UserError(
                f"{document.at('configurations', number, 'set', place)}: set.{quote(place)} is not"
                f" a key that applies to {model};"
                f" use {' or '.join(same or keys)}"
            )
    overrides = of_recipe(model, configuration.recipe or model, params) | overrides
    changed = {keys[place]: value for place, value in overrides.items()}
    return Run(
        configuration.id,
        model,
        configuration.description,
        Recipe.parse(
            params.models[model].model_dump() | changed,
            f"{document.at('configurations', number, 'set')}: ",
        ),
        tuple(f"{place}={value}" for place, value in overrides.items()),
    )


def of_recipe(model: str, other: str, params: Params) -> dict[str, str]:
    """Return the overrides that give a model the recipe of another, but its own seed."""
    own, wanted = params.models[model].model_dump(), params.models[other].model_dump()
    return {
        place: as_text(wanted[key])
        for key, place in params.places[model].items()
        if key != "seed" and wanted[key] != own[key]
    }


def with_seed(run: Run, seed: int, params: Params) -> Run:
    """Return the same configuration with another seed."""
    return replace(
        run,
        recipe=run.recipe.model_copy(update={"seed": seed}),
        overrides=(*run.overrides, f"{params.places[run.model]['seed']}={seed}"),
    )
