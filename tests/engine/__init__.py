"""Tests of study/engine: the engine computes what PyTorch computes.

Compiling all kernels takes about 40 s of CPU time. The tests that need them are in one xdist group,
so that `make test` compiles them once, in one process; Numba caches them for the next time.
"""
