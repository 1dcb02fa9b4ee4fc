"""What is edited while a stage runs is not recorded as what made its outputs."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages import dependencies
from study.base.errors import UserError
from study.base.files import write
from tests.errors import message_of
from tests.stages import stand_in

PIPELINE = """
stages:
  each:
    foreach: ${models}
    do:
      cmd: python -m stages.each ${key}
      deps: [file, folder, "${key}.py", "${candidate}.json"]
      params:
        - margin
        - recipe.yaml:
        - ${key}.yaml: [seed, versions]
  other:
    cmd: python -m stages.other
    deps: [other.py]
"""
FILES = {
    "dvc.yaml": PIPELINE,
    ".dvcignore": "__pycache__/\n/folder/**/.*\n/folder/ignored.py\n",
    "params.yaml": "candidate: model_2\nmargin: 0.1\nother: 1\n",
    "recipe.yaml": "epochs: 1\n",
    "model_1.yaml": "seed: 1\nversions: {torch: 2.14.1}\nepochs: 2\n",
    "model_1.py": "1",
    "model_2.py": "2",
    "model_2.json": "{}",
    "other.py": "1",
    "file": "1",
    "folder/a.py": "1",
    "folder/below/b.py": "1",
    "folder/ignored.py": "1",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small project, in which DVC has started the stage each@model_1."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "each@model_1")
    dependencies.pipeline_entry.cache_clear()
    yield
    dependencies.pipeline_entry.cache_clear()


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("file", "2", "file"),
        ("folder/a.py", "2", "folder/a.py"),
        ("folder/below/b.py", "2", "folder/below/b.py"),
        ("folder/below/new.py", "", "folder/below/new.py"),
        ("model_1.py", "2", "model_1.py"),
        ("model_2.json", "{1}", "model_2.json"),
        ("params.yaml", "margin: 0.2\n", "params.yaml: margin"),
        ("recipe.yaml", "epochs: 2\n", "recipe.yaml"),
        ("model_1.yaml", "seed: 2\nversions: {torch: 2.14.1}\n", "model_1.yaml: seed"),
        ("model_1.yaml", "seed: 1\nversions: {torch: 3.0.0}\n", "model_1.yaml: versions"),
        ("model_1.yaml", "a list: [", "model_1.yaml: seed"),
    ],
)
def test_changed_dependency_is_named_on_one_line(name: str, text: str, named: str) -> None:
    before = dependencies.checksums()
    write(Path(name), text)
    message = message_of(lambda: dependencies.check_unchanged(before))
    assert message.startswith(f"{named} ")
    assert "`dvc repro`" in message


def test_removed_dependency_is_named() -> None:
    before = dependencies.checksums()
    Path("folder/a.py").unlink()
    with pytest.raises(UserError, match=r"^folder/a\.py "):
        dependencies.check_unchanged(before)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("file", "1"),
        ("folder/ignored.py", "2"),
        ("folder/.a.py.swp", ""),
        ("folder/below/__pycache__/b.cpython-311.pyc", ""),
        ("model_2.py", "3"),
        ("other.py", "2"),
        ("params.yaml", "# a comment\nother: 2\nmargin: 0.1\ncandidate: model_1\n"),
        ("recipe.yaml", "# a comment\nepochs:   1\n"),
        ("model_1.yaml", "seed: 1\nversions: {torch: 2.14.1}\nepochs: 3\n"),
        # DVC has read it when it starts a stage.
        ("dvc.yaml", PIPELINE.replace("deps: [file", "deps: [other.py")),
        ("dvc.yaml", "<<<<<<< HEAD"),
    ],
)
def test_other_changes_do_not_count(name: str, text: str) -> None:
    before = dependencies.checksums()
    assert before
    write(Path(name), text)
    dependencies.check_unchanged(before)


def test_large_file_counts_as_changed_by_its_size_or_time() -> None:
    """The raw data, whose checksums are verified as it is read."""
    with Path("file").open("wb") as file:
        file.truncate(dependencies.LARGE)
    before = dependencies.checksums()
    dependencies.check_unchanged(before)
    status = Path("file").stat()
    os.utime("file", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(UserError, match=r"^file "):
        dependencies.check_unchanged(before)


@pytest.mark.parametrize("stage", [None, "", "absent", "each@model_1:x"])
def test_nothing_is_watched_outside_of_a_known_stage(
    monkeypatch: pytest.MonkeyPatch, stage: str | None
) -> None:
    monkeypatch.delenv("DVC_STAGE")
    if stage is not None:
        monkeypatch.setenv("DVC_STAGE", stage)
    assert dependencies.checksums() == {}


@pytest.mark.parametrize("text", ["", "[]", "stages:", "stages: [", "stages: 2024-13-45"])
def test_damaged_pipeline_is_left_to_dvc(text: str) -> None:
    write(Path("dvc.yaml"), text)
    assert dependencies.checksums() == {}


def test_project_without_dvcignore_watches_every_file() -> None:
    Path(".dvcignore").unlink()
    assert "folder/ignored.py" in dependencies.checksums()


@pytest.mark.fault(
    "code edited while a stage that depends on it runs", "one line; DVC records nothing"
)
def test_dvc_records_no_stage_whose_code_was_edited_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path
) -> None:
    main = (
        "Path('stood_in').write_text('done')\n"
        "for name in ('study/base/errors.py', 'study/base/.errors.py.swp', 'stages/train.py'):\n"
        "    with Path(name).open('a') as file:\n"
        "        file.write('# edited')"
    )
    folder = tmp_path_factory.mktemp("watched")
    checkout = stand_in.create(folder, mnist_folder, main)
    status, output = checkout.attempt("dvc", "repro")
    assert status != 0
    (line,) = re.findall("(?m)^error: .*", output)
    assert line.startswith("error: study/base/errors.py ")
    assert "Traceback" not in output
    assert not (checkout.root / "dvc.lock").exists()
    shutil.rmtree(folder)
