"""The speed claims, runnable: `python -m benchmarks` measures them and prints the tables.

Nothing here may be imported by the study, and what starts the measured processes does not import
`stages`: they would inherit its settings, which the textbook's loop is not to have.
"""
