"""Benchmarks behind the speed claims: `python -m benchmarks` and `python -m benchmarks.scaling`.

The study imports nothing from here.
"""
