"""Many runs: what experiments.yaml asks for, into metrics/experiments.csv.

Through DVC's queue on this machine (local), or on a Ray cluster (cluster, node).

`python -m experiments` runs what is left to do, `python -m experiments.check` holds the ledger
against the metrics in Git.
"""
