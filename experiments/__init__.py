"""Many runs: `make experiments` fills metrics/runs.csv with the runs of experiments.yaml.

Runs go through DVC's queue on this machine (local), or to a Ray cluster (cluster/).

`python -m experiments` runs what is missing; `python -m experiments.check` checks the run table
against the committed metrics.
"""
