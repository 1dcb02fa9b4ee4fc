"""Many runs: what experiments.yaml asks for, through DVC's queue, into metrics/experiments.csv.

`python -m experiments` runs what is left to do, `python -m experiments.check` holds the ledger
against the metrics in Git.
"""
