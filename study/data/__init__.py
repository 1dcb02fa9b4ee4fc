"""MNIST: where it comes from, its raw files, and the images as tensors."""
