"""Generated params.yaml and experiments.yaml: at worst one line, and DVC reads them alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.serialize import parse_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import models
from stages import paths, validate
from study.base.errors import UserError
from study.evidence import configurations
from study.recipes import params_file
from study.recipes.recipe import Recipe
from tests.checkout import ROOT

GENERATED = 1000
# The same ones each time: a test that fails is to fail again.
ONE_THOUSAND = settings(
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
    """A sound file, a few of whose lines are changed, doubled, gone, or somewhere else."""
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
    """What a user is told, if anything; an error of any other kind is what is looked for."""
    try:
        do()
    except UserError as error:
        return str(error)
    return None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / paths.PIPELINE).write_bytes((ROOT / paths.PIPELINE).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.fault(
    "a generated params.yaml",
    "taken as DVC takes it, or one line that names the key or the line; never a traceback",
    GENERATED,
)
@ONE_THOUSAND
@given(
    text=texts((ROOT / paths.PARAMS).read_text("utf-8")),
    encoding=st.sampled_from(["utf-8"] * 9 + ["utf-16"]),
)
def test_parameters(folder: Path, text: str, encoding: str) -> None:
    paths.PARAMS.write_bytes(text.encode(encoding, "surrogatepass"))
    if message := complaint(validate.main):
        assert message.startswith("params.yaml")
        assert message.isprintable()
        return
    # What passes is the same to DVC, whose YAML is not PyYAML's.
    ours = params_file.read_values(text)
    theirs = parse_yaml(text, paths.PARAMS)
    recipe = Recipe.parse(params_file.children(ours, "train."))
    assert Recipe.parse(theirs["train"]) == recipe
    assert str(theirs["candidate"]) == ours["candidate"]


@pytest.mark.fault(
    "a generated experiments.yaml",
    "taken, or one line that names the line; never a traceback",
    GENERATED,
)
@ONE_THOUSAND
@given(text=texts((ROOT / paths.EXPERIMENTS).read_text("utf-8")))
def test_experiments(text: str) -> None:
    params = params_file.read((ROOT / paths.PARAMS).read_text("utf-8"), models.names())
    if message := complaint(lambda: configurations.runs(text, params)):
        assert message.startswith("experiments.yaml")
        assert message.isprintable()
        return
    runs = configurations.runs(text, params)
    assert configurations.read(text).descriptions.keys() == {run.configuration for run in runs.values()}
