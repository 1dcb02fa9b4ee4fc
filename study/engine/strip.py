"""LLVM code of a strip of the matrix product: so few columns that registers hold the sums."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from study.engine.compilation import intrinsic
from study.engine.vector import FLOAT, multiply_add, pointer, read, spread, write

UNROLLED = 4
"""Steps of the depth between two branches."""


@dataclass(frozen=True)
class Strip:
    """Emits the LLVM code of a product for a few columns and any number of rows.

    The operands are those of `product`, as LLVM's values; a, b and c are addresses.
    """

    builder: Any
    columns: dict[int, ir.VectorType]
    """By its first column, the type of each vector that the columns are divided into."""
    heights: tuple[int, ...]
    """Numbers of rows per block, from the most whose sums fit into registers down to 1."""
    transposed: bool
    """Each layout of a has its own code: with one variable step, addresses need few registers."""
    a: Any
    a_row: Any
    b: Any
    b_row: Any
    c: Any
    c_row: Any
    rows: Any
    depth: Any
    add: Any
    sums: list[list[Any]]
    """Places on the stack, one for each row of a block and vector; LLVM makes them registers."""

    def const(self, n: int) -> Any:
        """Return an integer."""
        return ir.Constant(self.depth.type, n)

    def at(self, address: Any, steps: Any) -> Any:
        """Return the address of the number `steps` numbers further."""
        return self.builder.gep(address, [steps], inbounds=True)

    def emit(self) -> None:
        """Emit the product, block by block: as many of each height as fit."""
        builder = self.builder
        row, before = self.const(0), builder.block
        for height in self.heights:
            test, body, end = (builder.append_basic_block() for _ in range(3))
            builder.branch(test)
            builder.position_at_end(test)
            here = builder.phi(self.depth.type)
            here.add_incoming(row, before)
            left = builder.sub(self.rows, here)
            fits = builder.icmp_signed(">=", left, self.const(height))
            # Eight rows are two blocks of four, not one of six and two of one.
            if height == 6:
                fits = builder.and_(fits, builder.icmp_signed("!=", left, self.const(8)))
            builder.cbranch(fits, body, end)
            builder.position_at_end(body)
            self.block(height, here)
            here.add_incoming(builder.add(here, self.const(height)), builder.block)
            builder.branch(test)
            builder.position_at_end(end)
            row, before = here, end

    def block(self, height: int, row: Any) -> None:
        """Emit rows `row` to `row + height`: all sums in registers."""
        builder = self.builder
        a = self.at(self.a, row if self.transposed else builder.mul(self.a_row, row))
        c = self.at(self.c, builder.mul(self.c_row, row))
        places = [
            self.at(self.at(c, builder.mul(self.c_row, self.const(y))), self.const(x))
            for y in range(height)
            for x in self.columns
        ]
        kinds = list(self.columns.values()) * height
        totals = [total for line in self.sums[:height] for total in line]
        with builder.if_else(self.add) as (continued, fresh):
            with continued:
                for place, kind, total in zip(places, kinds, totals, strict=True):
                    builder.store(read(builder, place, kind), total)
            with fresh:
                for kind, total in zip(kinds, totals, strict=True):
                    builder.store(ir.Constant(kind, None), total)
        most = builder.and_(self.depth, self.const(-UNROLLED))
        for steps, start, end in ((UNROLLED, self.const(0), most), (1, most, self.depth)):
            every = self.const(steps)
            with cgutils.for_range_slice(builder, start, end, every, inc=True) as (k, _):
                here = self.at(a, builder.mul(self.a_row, k) if self.transposed else k)
                self.advance(here, self.at(self.b, builder.mul(self.b_row, k)), height, steps)
        for place, kind, total in zip(places, kinds, totals, strict=True):
            write(builder, builder.load(total, typ=kind), place)

    def advance(self, a: Any, b: Any, height: int, steps: int) -> None:
        """Add the products of some steps of the depth to the sums of a block."""
        builder = self.builder
        for k in range(steps):
            row = self.at(b, builder.mul(self.b_row, self.const(k)))
            columns = [
                read(builder, self.at(row, self.const(x)), kind) for x, kind in self.columns.items()
            ]
            for i, line in enumerate(self.sums[:height]):
                far, near = (k, i) if self.transposed else (i, k)
                start = self.at(a, builder.mul(self.a_row, self.const(far)))
                place = self.at(start, self.const(near))
                number = builder.load(place, typ=FLOAT)
                for column, total in zip(columns, line, strict=True):
                    factor = spread(builder, number, column.type)
                    before = builder.load(total, typ=column.type)
                    builder.store(multiply_add(builder, factor, column, before), total)


def strip(lanes: tuple[int, ...], heights: tuple[int, ...]) -> Callable[..., Any]:
    """Return the operation that computes a product for vectors of so many columns."""
    columns = {sum(lanes[:i]): ir.VectorType(FLOAT, n) for i, n in enumerate(lanes)}

    @intrinsic
    def emitted(context, m, a, a_row, transposed, b, b_row, c, c_row, rows, depth, add):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            m, a, a_row, transposed, b, b_row, c, c_row, rows, depth, add = args
            a, b, c = (pointer(context, builder, signature.args[0], m, at) for at in (a, b, c))
            sums = [
                [cgutils.alloca_once(builder, kind) for kind in columns.values()]
                for _ in range(heights[0])
            ]
            add = builder.icmp_signed("!=", add, ir.Constant(add.type, 0))
            transposed = builder.icmp_signed("!=", transposed, ir.Constant(transposed.type, 0))
            with builder.if_else(transposed) as branches:
                for layout, branch in zip((True, False), branches, strict=True):
                    with branch:
                        Strip(
                            builder, columns, heights, layout,
                            a, a_row, b, b_row, c, c_row, rows, depth, add, sums,
                        ).emit()  # fmt: skip
            return context.get_dummy_value()

        i = types.intp
        return types.void(m, i, i, types.boolean, i, i, i, i, i, i, types.boolean), emit

    return emitted


# The 16 registers of AVX2, of 8 floats, hold the sums, a row of b and a number of a. With 8 or more
# sums, two fused multiply-adds of 4 cycles each can start in every cycle. A vector of 16 floats is
# one register of AVX-512, and two of AVX2.
strip_1 = strip((8,), (12, 8, 4, 1))
strip_2, strip_3 = strip((16,), (6, 4, 1)), strip((16, 8), (4, 2, 1))
