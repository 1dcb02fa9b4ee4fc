"""What experiments on a Ray cluster cost: `python -m benchmarks.scaling`."""
