"""Features of the processor."""

from llvmlite.binding import get_host_cpu_features


def has_fma() -> bool:
    """Return whether the processor has fused multiply-add instructions.

    x86-64 processors have them together with AVX2, nearly all since 2013; arm64 always has them.
    Without them, libm computes the same in software, many times slower.
    """
    return bool(get_host_cpu_features().get("fma", True))
