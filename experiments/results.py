"""What has come of the experiments on a commit, from DVC's commits in Git.

DVC keeps a finished experiment as a commit under refs/exps. dvc.api.exp_show would say the same of
it, but looks at the queue as well, and can wait for ever on an experiment that is under way.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from experiments import files, git
from stages import paths
from study.base.files import write
from study.evidence import run_table
from study.evidence.configurations import Run
from study.evidence.run_table import Row
from study.recipes import params_file
from study.training.history import from_csv


class Results:
    """What has come of runs that are to be on one commit."""

    def __init__(self, runs: Mapping[str, Run], revision: str) -> None:
        """`revision` is the full name of the commit."""
        self.runs = runs
        self.revision = revision

    def update(self) -> list[str]:
        """Write the ledger anew with what is finished; return the runs that have no row."""
        rows = run_table.merge(files.rows(), self.runs)
        commits = {name: commit for name, commit in self.commits().items() if name not in rows}
        rows |= run_table.merge(self.rows(commits), self.runs)
        if rows or paths.LEDGER.exists():
            write(paths.LEDGER, run_table.to_csv(rows.values()))
        return [name for name in self.runs if name not in rows]

    def rows(self, commits: Mapping[str, str]) -> Iterator[Row]:
        """Yield the rows of finished runs, of which the commits are given by name."""
        asked = [
            f"{commit}:{path}" for name, commit in commits.items() for path in self.files(name)
        ]
        texts = read(asked)
        for name in commits:
            if row := self.row(self.runs[name], [next(texts) for _ in self.files(name)]):
                yield row

    def commits(self) -> dict[str, str]:
        """Return the commits of finished experiments by run."""
        found = git.call("for-each-ref", "--format=%(refname) %(objectname)", self.ref(""))
        commits = dict(line.split() for line in found.splitlines())
        return {name: commits[ref] for name in self.runs if (ref := self.ref(name)) in commits}

    def ref(self, name: str) -> str:
        """Return where DVC keeps an experiment on the commit."""
        return f"refs/exps/{self.revision[:2]}/{self.revision[2:]}/{name}"

    def files(self, name: str) -> list[Path]:
        """Which files a row is made of."""
        model = self.runs[name].model
        return [paths.PARAMETERS, paths.metrics(model), paths.history(model)]

    def row(self, run: Run, texts: list[str | None]) -> Row | None:
        """Return an experiment as a row of the ledger, if it has all of it."""
        params, figures, history = texts
        if params is None or figures is None or history is None:
            return None
        values, metrics = params_file.read_values(params), json.loads(figures)
        if not run_table.DECIMALS.keys() <= metrics.keys():
            return None
        return Row(
            run.experiment,
            run.model,
            params_file.recipe(values, run.model),
            self.revision,
            run_table.written(metrics),
            tuple(epoch.test_accuracy for epoch in from_csv(history)),
        )


def read(names: Iterable[str]) -> Iterator[str | None]:
    """Yield the contents of files that are named `commit:path`; None for one that is not there."""
    asked = "".join(f"{name}\n" for name in names)
    said = io.BytesIO(git.output("cat-file", "--batch", stdin=asked.encode()))
    while head := said.readline():
        if head.endswith(b" missing\n"):
            yield None
        else:
            size = int(head.split()[-1])
            yield said.read(size).decode()
            said.readline()
