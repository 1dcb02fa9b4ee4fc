"""What is claimed of speed, measured: `python -m benchmarks` and `python -m benchmarks.cluster`.

Nothing here may be imported by the study. What starts the textbook's loop does not import `stages`:
it would inherit its settings, which it is not to have.
"""
