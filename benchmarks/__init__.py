"""Benchmarks behind the speed claims: `python -m benchmarks` and `python -m benchmarks.scaling`.

The study imports nothing from here. What starts the baseline must not import `stages`: the baseline
would inherit its thread settings.
"""
