"""The matrix product, which all convolutions except depthwise ones consist of."""

from study.engine.compilation import kernel
from study.engine.memory import Floats
from study.engine.strip import strip_1, strip_2, strip_3
from study.engine.vector import noinline


@kernel
def product(
    m: Floats,
    a: int,
    a_row: int,
    transposed: bool,
    b: int,
    b_row: int,
    c: int,
    c_row: int,
    rows: int,
    columns: int,
    depth: int,
    add: bool,
) -> None:
    """Set c to the product a b of [rows, depth] and [depth, columns], or add the product to c.

    `columns` must be a multiple of 8. a[i, k] is at a + i * a_row + k, or if `transposed`, at a +
    k * a_row + i. b[k, j] is at b + k * b_row + j, c[i, j] at c + i * c_row + j. Each element of c
    is one chain of fused multiply-adds in the order of k, whatever block computes it, so its bits
    do not depend on the rest of the matrix.

    Costs rows * columns * depth multiplications. The sums of a block (for example 4 rows of 24
    columns) stay in registers.
    """
    noinline()
    left = columns // 8  # vectors of columns: four become two strips of 2, not of 3 and 1
    while left > 0:
        if left == 3 or left >= 5:
            strip_3(m, a, a_row, transposed, b, b_row, c, c_row, rows, depth, add)
            step = 3
        elif left >= 2:
            strip_2(m, a, a_row, transposed, b, b_row, c, c_row, rows, depth, add)
            step = 2
        else:
            strip_1(m, a, a_row, transposed, b, b_row, c, c_row, rows, depth, add)
            step = 1
        left -= step
        b += 8 * step
        c += 8 * step
