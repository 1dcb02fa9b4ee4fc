"""From DVC's experiments in Git to the run table, metrics/runs.csv.

DVC keeps a finished experiment as a commit under refs/exps. dvc.api.exp_show would give the same
values, but it also looks at the queue, and can block for as long as an experiment is running.
"""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import models
from experiments import git
from stages import paths, project_files
from study.base.files import write
from study.evaluation import metrics
from study.evaluation.metrics import METRICS
from study.evidence import run_table
from study.evidence.configurations import Run
from study.evidence.run_table import Row
from study.recipes import params_file
from study.training.history import from_csv


class Collector:
    """Collects the finished runs of one commit."""

    def __init__(
        self,
        runs: Mapping[str, Run],
        revision: str,
        selected: Collection[str] | None = None,
        closed: Collection[str] = (),
    ) -> None:
        """`runs` are those that experiments.yaml asks for; `revision` is the commit's full name.

        `selected` names the runs to be executed; None for all. `closed` are configurations whose
        rows stay, although there are no runs of them.
        """
        self.runs = runs
        self.revision = revision
        # Those of the commit: the user may edit the folder while runs are executed.
        self.models = models.names()
        self.selected = runs if selected is None else selected
        self.closed = closed

    def obsolete(self) -> list[str]:
        """Return the names of the rows that experiments.yaml and params.yaml no longer ask for."""
        rows = project_files.rows()
        kept = run_table.merge(rows, self.runs, self.closed)
        return [row.name for row in rows if row.name not in kept]

    def remove_obsolete(self) -> None:
        """Remove these rows from the run table."""
        kept = run_table.merge(project_files.rows(), self.runs, self.closed)
        write(paths.RUNS, run_table.to_csv(kept.values()))

    def update(self) -> list[str]:
        """Add finished runs to the run table; return the names of the selected runs without a row.

        All other rows stay: the user may have added some since the runs began.
        """
        rows = {row.name: row for row in project_files.rows()}
        commits = {name: commit for name, commit in self.commits().items() if name not in rows}
        rows |= run_table.merge(self.rows(commits), self.runs)
        if rows or paths.RUNS.exists():
            write(paths.RUNS, run_table.to_csv(rows.values()))
        return [name for name in self.selected if name not in rows]

    def fetch(self, source: Path, name: str) -> None:
        """Give DVC a finished experiment as if it had run here, from a repository or a bundle.

        DVC's cache must have its outputs: an experiment with a commit is complete.
        """
        ref = self.ref(name)
        git.call("fetch", "--quiet", str(source), f"+{ref}:{ref}")

    def rows(self, commits: Mapping[str, str]) -> Iterator[Row]:
        """Yield the rows of finished runs, given the commit of each by name."""
        # `./`: relative to this folder, which may be below the root of the repository.
        blobs = read_blobs(
            f"{commit}:./{path}" for name, commit in commits.items() for path in self.files(name)
        )
        for name in commits:
            if row := self.row(self.runs[name], [next(blobs) for _ in self.files(name)]):
                yield row

    def commits(self) -> dict[str, str]:
        """Return the commit of each finished experiment, by run."""
        found = git.call("for-each-ref", "--format=%(refname) %(objectname)", self.ref(""))
        commits = dict(line.split() for line in found.splitlines())
        return {name: commits[ref] for name in self.runs if (ref := self.ref(name)) in commits}

    def ref(self, name: str) -> str:
        """Return the Git reference under which DVC keeps a run of the commit."""
        return f"refs/exps/{self.revision[:2]}/{self.revision[2:]}/{name}"

    def files(self, name: str) -> list[Path]:
        """Return the files from which a run's row is made."""
        model = self.runs[name].model
        return [paths.PARAMS, paths.metrics(model), paths.history(model)]

    def row(self, run: Run, texts: list[str | None]) -> Row | None:
        """Return an experiment's row, given the texts of its files; None if one is incomplete."""
        params, measured, history = texts
        if params is None or measured is None or history is None:
            return None
        values = asdict(metrics.from_json(str(paths.metrics(run.model)), measured))
        if any(values[key] is None for key in METRICS):
            return None
        return Row(
            run.configuration,
            run.model,
            params_file.read(params, self.models).models[run.model],
            self.revision,
            run_table.format_metrics(values),
            tuple(epoch.test_accuracy for epoch in from_csv(history)),
        )


def read_blobs(names: Iterable[str]) -> Iterator[str | None]:
    """Yield the text of each file, named `commit:path`; None if it does not exist."""
    stdin = "".join(f"{name}\n" for name in names)
    output = io.BytesIO(git.output("cat-file", "--batch", stdin=stdin.encode()))
    while head := output.readline():
        if head.endswith(b" missing\n"):
            yield None
        else:
            size = int(head.split()[-1])
            yield output.read(size).decode()
            output.readline()
