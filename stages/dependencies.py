"""What a stage depends on, as dvc.yaml lists it: has it changed since the stage started?

DVC takes the sums of a stage's dependencies after its command has ended
(https://github.com/treeverse/dvc/issues/11058). Code that was edited meanwhile would be recorded as
what made the outputs. Imports nothing that is slow: what changes before this has read it goes
unnoticed.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pathspec import GitIgnoreSpec

from study.base.errors import UserError

Sums = dict[str, str]
"""By path, or by file and key: a sum of what is there."""

LARGE = 1 << 22
"""Bytes from which a file counts as unchanged if its size and time are: the raw data, which
study/data checks by itself."""


def check_unchanged(before: Sums) -> None:
    """Raise UserError if something is not as it was."""
    after = sums()
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            raise UserError(
                f"{name} was changed while this stage ran, so the outputs are not recorded; run"
                " `dvc repro` again"
            )


def sums() -> Sums:
    """Return the sums of what the stage that DVC runs depends on; nothing outside of DVC."""
    address = os.environ.get("DVC_STAGE", "")
    stage, _, key = address.rpartition(":")[2].partition("@")
    try:
        pipeline = Path("dvc.yaml").read_text("utf-8")
        entry = yaml.load(pipeline, yaml.CSafeLoader)["stages"][stage]
    except (OSError, KeyError, yaml.YAMLError):
        return {}
    entry = entry.get("do", entry)
    found = {}
    for dependency in entry.get("deps", []):
        for path in files(Path(dependency.replace("${key}", key))):
            found[path.as_posix()] = of_file(path)
    for parameter in entry.get("params", []):
        found |= of_parameters(parameter, key)
    return found


def files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files in a folder that DVC does not ignore."""
    if not path.is_dir():
        yield path
        return
    ignored = GitIgnoreSpec.from_lines(Path(".dvcignore").read_text("utf-8").splitlines())
    for each in sorted(path.rglob("*")):
        if each.is_file() and not ignored.match_file(each):
            yield each


def of_file(path: Path) -> str:
    """Return a sum of a file's content, or `missing`."""
    try:
        status = path.stat()
        if status.st_size >= LARGE:
            return f"{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def of_parameters(parameter: Any, key: str) -> Sums:
    """Return the values of one entry under `params`: `name`, `FILE:` or `FILE: [name, …]`."""
    by_file = parameter if isinstance(parameter, dict) else {"params.yaml": [parameter]}
    ((file, names),) = by_file.items()
    path = Path(file.replace("${key}", key))
    try:
        values = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    except (OSError, yaml.YAMLError):
        values = {}
    if names is None:
        return {path.as_posix(): repr(values)}
    return {f"{path.as_posix()}: {name}": repr(values.get(name)) for name in names}
