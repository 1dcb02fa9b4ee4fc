"""Detect changes to a stage's dependencies while it runs.

DVC computes the checksums of a stage's dependencies after its command has ended
(https://github.com/treeverse/dvc/issues/11058). Code that was edited meanwhile would be recorded as
the code that made the outputs. This module imports nothing slow, because changes before it has read
the dependencies go unnoticed.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pathspec import GitIgnoreSpec

from study.base.errors import UserError

Checksums = dict[str, str]
"""Checksum of each file by path, and value of each parameter by file and key."""

LARGE = 1 << 22
"""Size in bytes from which a file counts as unchanged if its size and modification time are the
same: the raw data, which study/data verifies."""


def check_unchanged(before: Checksums) -> None:
    """Raise UserError if a dependency has changed."""
    after = checksums()
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            raise UserError(
                f"{name} was changed while this stage ran, so the outputs are not recorded; run"
                " `dvc repro` again"
            )


def checksums() -> Checksums:
    """Return the checksums of the running stage's dependencies; none outside of DVC."""
    found = {}
    entry = pipeline_entry()
    for dependency in entry.get("deps", []):
        for path in files(Path(dependency)):
            found[path.as_posix()] = of_file(path)
    for parameter in entry.get("params", []):
        found |= of_parameters(parameter)
    return found


@cache
def pipeline_entry() -> dict[str, Any]:
    """Return the entry in dvc.yaml of the running stage, as it was at the first call.

    An edit of dvc.yaml affects the next run only: DVC has read the file, too.
    """
    address = os.environ.get("DVC_STAGE", "")
    stage, _, key = address.rpartition(":")[2].partition("@")
    entry = (values(Path("dvc.yaml")).get("stages") or {}).get(stage, {})
    known = values(Path("params.yaml")) | {"key": key}
    text = json.dumps(entry.get("do", entry))
    filled = re.sub(r"\$\{(\w+)\}", lambda name: json.dumps(str(known.get(name[1])))[1:-1], text)
    return dict(json.loads(filled))


def values(path: Path) -> dict[str, Any]:
    """Return the keys and values in a YAML file; none if it is damaged, which DVC reports."""
    try:
        data = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) else {}


def files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files in a folder that DVC does not ignore."""
    if not path.is_dir():
        yield path
        return
    patterns = Path(".dvcignore")
    lines = patterns.read_text("utf-8").splitlines() if patterns.exists() else []
    ignored = GitIgnoreSpec.from_lines(lines)
    for each in sorted(path.rglob("*")):
        if each.is_file() and not ignored.match_file(each):
            yield each


def of_file(path: Path) -> str:
    """Return the checksum of a file, or `missing`."""
    try:
        status = path.stat()
        if status.st_size >= LARGE:
            return f"{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def of_parameters(parameter: Any) -> Checksums:
    """Return the values of one entry under `params`: `name`, `FILE:` or `FILE: [name, …]`."""
    by_file = parameter if isinstance(parameter, dict) else {"params.yaml": [parameter]}
    found = {}
    for file, names in by_file.items():
        present = values(Path(file))
        if names is None:
            found[file] = repr(present)
        else:
            found |= {f"{file}: {name}": repr(present.get(name)) for name in names}
    return found
