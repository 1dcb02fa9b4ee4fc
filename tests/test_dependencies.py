"""dvc.yaml's deps are what each stage imports, and imports run one way."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from dvc.repo import Repo

import models
import stages

ROOT = Path(__file__).parent.parent
PACKAGES = ("stages", "study", "models")
MODULES = sorted(path.relative_to(ROOT) for name in PACKAGES for path in ROOT.glob(f"{name}/*.py"))
# Beside the pipeline: no stage imports it.
EXPERIMENTS = sorted(path.relative_to(ROOT) for path in ROOT.glob("experiments/*.py"))
PIPELINE = {stage.name: stage for stage in Repo(str(ROOT)).index.stages}


@cache
def imports(module: Path) -> frozenset[str]:
    """The dotted names that a module imports, wherever in it: `study`, `study.mnist`, `torch.nn`.

    What stands behind `from package import` counts as a name below the package, module or not.
    """
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    # Python imports the packages above, too.
    return frozenset(".".join(n.split(".")[:end]) for n in names for end in range(1, 9))


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text("utf-8"))


def own(module: Path) -> set[Path]:
    """The modules of this project that a module imports."""
    return {file for name in imports(module) if (file := path(name)) is not None}


def path(name: str) -> Path | None:
    """The file of a module of this project, by its dotted name."""
    file = Path(*name.split("."))
    return next((f for f in (file / "__init__.py", file.with_suffix(".py")) if f in MODULES), None)


def foreign(module: Path) -> set[str]:
    """The packages that a module imports and that do not come with Python."""
    return (
        {name.split(".")[0] for name in imports(module)} - set(PACKAGES) - sys.stdlib_module_names
    )


def builds(module: Path) -> bool:
    """Whether a module uses `models.build`, which imports a model by its name."""
    uses = (node for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute))
    return "models.build" in {*map(ast.unparse, uses), *imports(module)}


def reached(start: Path) -> set[Path]:
    """A module, what it imports, what that imports, and so on."""
    seen: set[Path] = set()
    todo = {start, start.parent / "__init__.py"}
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= own(module) - seen
    return seen


def does_something(module: Path) -> bool:
    """Whether there is more in a module than its docstring."""
    return len(tree(module).body) > 1


@pytest.mark.parametrize("name", PIPELINE)
def test_deps_are_the_imports(name: str) -> None:
    stage, _, model = name.partition("@")
    expected = reached(Path(f"stages/{stage}.py"))
    if any(builds(module) for module in expected):
        expected |= reached(Path(f"models/{model}.py"))
    listed = [dep.def_path for dep in PIPELINE[name].deps if dep.def_path.endswith(".py")]
    assert sorted(listed) == sorted(str(module) for module in expected if does_something(module))


@pytest.mark.parametrize("name", PIPELINE)
def test_commands_name_stage_and_model(name: str) -> None:
    stage, _, model = name.partition("@")
    command = PIPELINE[name].cmd.split()
    assert command[:4] == ["exec", "python", "-m", f"stages.{stage}"]
    if model:
        assert command[4] == model


def test_every_stage_of_every_model() -> None:
    once = {"validate", "download", "claims", "candidate", "report"}
    each = {"summarize", "train", "evaluate"}
    assert set(PIPELINE) == once | {
        f"{stage}@{model}" for stage in each for model in models.names()
    }


def test_the_report_is_on_every_model() -> None:
    assert PIPELINE["report"].cmd.split()[5:] == models.names()


def test_the_weights_are_models_with_a_description() -> None:
    artifacts = Repo(str(ROOT)).artifacts.read()["dvc.yaml"].values()
    assert [a.path for a in artifacts] == [f"weights/{m}.safetensors" for m in models.names()]
    assert {artifact.type for artifact in artifacts} == {"model"}
    assert all(artifact.desc for artifact in artifacts)


@pytest.mark.parametrize(
    ("package", "others", "forbidden"),
    [
        ("models", set(), {"argparse", "os", "pathlib", "random", "yaml"}),
        ("study", {"models"}, {"argparse", "random"}),
        ("stages", {"study", "models"}, {"random"}),
        ("experiments", {"stages", "study", "models"}, {"random"}),
    ],
)
def test_imports_run_one_way(package: str, others: set[str], forbidden: set[str]) -> None:
    for module in [*MODULES, *EXPERIMENTS]:
        if module.parts[0] == package:
            tops = {name.split(".")[0] for name in imports(module)}
            assert tops & {*PACKAGES, "experiments"} <= {package} | others, module
            assert not tops & forbidden, module


def test_models_know_torch_and_nothing_else() -> None:
    assert {
        name for module in MODULES if module.parts[0] == "models" for name in foreign(module)
    } == {"torch"}


def test_no_module_is_imported_in_vain() -> None:
    entrances = {Path(f"stages/{name.partition('@')[0]}.py") for name in PIPELINE}
    by_name = {Path(f"models/{name}.py") for name in models.names()}
    starts = entrances | by_name | set(EXPERIMENTS)
    imported: set[Path] = set().union(*(reached(start) for start in starts))
    assert sorted(imported - set(EXPERIMENTS)) == MODULES


def packages() -> Iterator[str]:
    for module in MODULES:
        yield from foreign(module)


def test_a_wrong_python_is_told_of_every_package() -> None:
    assert sorted(set(packages())) == sorted(stages.NEEDED)


def test_every_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split("[^a-z-]", requirement)[0] for requirement in project["dependencies"]}
    imported = {*packages(), *(name for module in EXPERIMENTS for name in foreign(module))}
    # Only where there is a cluster.
    imported.remove("ray")
    assert "ray" in {
        re.split("[^a-z-]", each)[0] for each in project["optional-dependencies"]["ray"]
    }
    assert {name.replace("yaml", "pyyaml") for name in imported - {"experiments"}} <= declared


def test_every_package_is_locked_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if re.match(r"\w", line)]
    assert lines
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []
