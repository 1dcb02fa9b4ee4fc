"""Many runs: `make experiments` fills metrics/runs.csv with the runs of experiments.yaml.

Each is a `dvc exp run` in a clone of the commit: on this machine (local), or on a Ray cluster
(cluster/).

`python -m experiments` runs what is missing; `python -m experiments.check` checks the run table
against the committed metrics.
"""

# Before `python -m experiments` imports anything that takes time: Ctrl-C ends that without a
# traceback.
import stages  # noqa: F401
