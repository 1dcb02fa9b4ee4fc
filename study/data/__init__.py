"""MNIST: its sources, its raw files, and its images as tensors."""
