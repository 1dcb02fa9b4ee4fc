"""Generated params.yaml and experiments.yaml: one line, or read as by DVC."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.serialize import parse_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import models
from stages import paths
from study.base.errors import UserError
from study.base.files import read_text
from study.evidence import configurations
from study.recipes import params_file
from study.recipes.recipe import Recipe
from tests.checkout import ROOT

GENERATED = 300
# The same ones each time, so that a failure can be reproduced.
SETTINGS = settings(
    max_examples=GENERATED,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WORDS = """\
null ~ '' true false yes NaN nan .nan inf .inf -.inf -1 0 -0.0 1e999 1e-999 1_0 0x10 0o17
010 1:30 1,5 0.1.2 2024-13-45 [] [1] {} {a: 1} *a &a &a[*a] !!int !!binary !!python/name:os.system
<<: ? - | > % @ ` # ${train.seed} $(true) ; <<<<<<< ======= >>>>>>> é 九 ９ \0 \ufeff 0.5
7 128 60000 cuda"""
VALUES = (
    st.sampled_from(WORDS.split())
    | st.floats().map(str)
    | st.integers().map(str)
    | st.text(max_size=8)
)


def texts(sound: str) -> st.SearchStrategy[str]:
    """Generate a sound file with a few lines changed, doubled, removed or indented, or any text."""
    lines = [line for line in sound.splitlines() if line.strip() and line.lstrip()[0] != "#"]

    def changed(changes: list[tuple[int, str, str]]) -> str:
        new = list(lines)
        for place, kind, value in changes:
            at = place % max(len(new), 1)
            line = new[at] if new else ""
            key, colon, _ = line.partition(": ")
            new[at : at + 1] = {
                "value": [f"{key}{colon or ' '}{value}"],
                "key": [line.replace(key.strip(" -:"), value)],
                "double": [line, line],
                "gone": [],
                "deeper": [f"  {line}"],
                "before": [value, line],
                "cut": [line[: len(value)]],
            }[kind]
        return "\n".join(new) + "\n"

    kinds = ["value"] * 4 + ["key", "double", "gone", "deeper", "before", "cut"]
    change = st.tuples(st.integers(0, 999), st.sampled_from(kinds), VALUES)
    return st.lists(change, max_size=3).map(changed) | st.text(max_size=40)


def complaint(do: Callable[[], object]) -> str | None:
    """Return the message of a UserError, if one is raised; an error of another kind is a bug."""
    try:
        do()
    except UserError as error:
        return str(error)
    return None


@pytest.mark.fault(
    "a generated params.yaml",
    "accepted with the values that DVC reads, or one line that names the file; no traceback",
    GENERATED,
)
@SETTINGS
@given(
    text=texts((ROOT / paths.PARAMS).read_text("utf-8")),
    encoding=st.sampled_from(["utf-8"] * 9 + ["utf-16"]),
)
def test_params_are_rejected_in_one_line_or_read_as_by_dvc(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / paths.PARAMS
    path.write_bytes(text.encode(encoding, "surrogatepass"))
    read: list[params_file.Params] = []
    names = models.names()
    if message := complaint(lambda: read.append(params_file.read(read_text(path), names))):
        assert "params.yaml" in message.partition(": ")[0]
        assert message.isprintable()
        return
    # DVC reads YAML with another library than this project.
    theirs = parse_yaml(text, paths.PARAMS)
    (ours,) = read
    assert {
        name: Recipe.parse(theirs["train"] | (own or {})) for name, own in theirs["models"].items()
    } == ours.models
    assert theirs["candidate"] in ours.models


@pytest.mark.fault(
    "a generated experiments.yaml",
    "accepted, or one line that names the file; no traceback",
    GENERATED,
)
@SETTINGS
@given(text=texts((ROOT / paths.EXPERIMENTS).read_text("utf-8")))
def test_experiments_are_rejected_in_one_line_or_read(text: str) -> None:
    params = params_file.read((ROOT / paths.PARAMS).read_text("utf-8"), models.names())
    if message := complaint(lambda: configurations.runs(text, params)):
        assert message.startswith("experiments.yaml")
        assert message.isprintable()
        return
    runs = configurations.runs(text, params)
    named = {run.configuration for run in runs.values()}
    assert configurations.read(text).seeds_of.keys() == named
