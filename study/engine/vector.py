"""A Numba type for vectors of eight float32 numbers, and its operations.

IEEE 754 defines every operation to the last bit. Without fast-math, LLVM may neither reorder nor
contract operations, and `fma` rounds once. So a result depends only on the operations in the
kernels' source, not on the processor, the instruction set or the version of LLVM.

The engine keeps all its numbers in one float32 array, the memory `m`. An operand is an offset in
it, an integer. Bytes (dropout masks) are in the same array; their offsets count bytes.

Used as their docstrings say, the operations lose no NaN.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, Signature, infer_global
from numba.extending import lower_builtin, models, register_model

from study.engine.compilation import intrinsic

LANES = 8
"""Number of floats in a vector: one AVX register."""
WIDE = 4
"""Number of vectors in a wide vector: independent chains of additions, which run in parallel."""

FLOAT, BYTE, INT32 = ir.FloatType(), ir.IntType(8), ir.IntType(32)
EIGHT, EIGHT_BYTES = ir.VectorType(FLOAT, LANES), ir.VectorType(BYTE, LANES)


class VectorType(types.Type):  # type: ignore[misc]
    """The Numba type of a vector (1 part) or of a wide vector (several parts)."""

    def __init__(self, parts: int) -> None:
        """Name the type by its parts, since Numba compares types by name."""
        super().__init__(name=f"vector{parts}")
        self.parts = parts


vector, wide_vector = VectorType(1), VectorType(WIDE)


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """The LLVM type: a vector in registers; for a wide vector, an array of vectors."""

    def __init__(self, manager: Any, kind: VectorType) -> None:
        """Represent our type by LLVM's."""
        wide = kind.parts > 1
        super().__init__(manager, kind, ir.ArrayType(EIGHT, kind.parts) if wide else EIGHT)


# Parts of the intrinsics below. `builder` emits LLVM code.


def pointer(
    context: Any, builder: Any, kind: Any, array: Any, index: Any, unit: Any = FLOAT
) -> Any:
    """Return the address of an element of a one-dimensional array; `index` counts `unit`s."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(builder.bitcast(data, unit.as_pointer()), [index], inbounds=True)


def read(builder: Any, address: Any, kind: Any, align: int = 4) -> Any:
    """Read a vector from an address, aligned or not."""
    value = builder.load(builder.bitcast(address, kind.as_pointer()), typ=kind)
    value.align = align
    return value


def write(builder: Any, value: Any, address: Any, align: int = 4) -> None:
    """Write a vector to an address, aligned or not."""
    builder.store(value, builder.bitcast(address, value.type.as_pointer())).align = align


def spread(builder: Any, scalar: Any, kind: Any = EIGHT) -> Any:
    """Return a vector with `scalar` in every lane."""
    nothing = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(nothing, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(INT32, kind.count), None))


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once."""
    kind = ir.FunctionType(c.type, [c.type] * 3)
    name = f"llvm.fma.v{c.type.count}f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [a, b, c])


def divided(builder: Any, value: Any, parts: int) -> list[Any]:
    """Return the parts of a vector or wide vector."""
    return [builder.extract_value(value, i) for i in range(parts)] if parts > 1 else [value]


def united(builder: Any, vectors: list[Any]) -> Any:
    """Return the vector or wide vector that has these parts."""
    if len(vectors) == 1:
        return vectors[0]
    return cgutils.pack_array(builder, vectors)


def operation(emit: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operation on vectors of equal width, from a function that emits it for one part."""

    def typed(_context: Any, *operands: Any) -> Any:
        kind = operands[0]
        if not isinstance(kind, VectorType) or any(each != kind for each in operands):
            return None

        def emit_all(_: Any, builder: Any, _signature: Any, args: Any) -> Any:
            parts = zip(*(divided(builder, each, kind.parts) for each in args), strict=True)
            return united(builder, [emit(builder, *each) for each in parts])

        return kind(*operands), emit_all

    typed.__name__ = emit.__name__
    typed.__signature__ = inspect.signature(emit)  # type: ignore[attr-defined]
    return intrinsic(typed)


@operation
def fma(builder, a, b, c):  # type: ignore[no-untyped-def]
    """Return a * b + c, rounded once."""
    return multiply_add(builder, a, b, c)


@operation
def largest(builder, a, b):  # type: ignore[no-untyped-def]
    """Return the larger of a and b; b where either is NaN, so a must be a constant, as in ReLU."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@operation
def above(builder, a, b, x, y):  # type: ignore[no-untyped-def]
    """Return x where a > b or either is NaN, else y."""
    return builder.select(builder.fcmp_unordered(">", a, b), x, y)


@operation
def beats(builder, a, b, x, y):  # type: ignore[no-untyped-def]
    """Return x where a > b or a is NaN, else y. `beats(a, b, a, b)` keeps a NaN in either."""
    wins = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(wins, x, y)


@operation
def equal(builder, a, b, x, y):  # type: ignore[no-untyped-def]
    """Return x where a == b, else y."""
    return builder.select(builder.fcmp_ordered("==", a, b), x, y)


class Arithmetic(AbstractTemplate):  # type: ignore[misc]
    """The types of an operator whose operands and result are vectors of equal width."""

    def generic(self, operands: Any, _keywords: Any) -> Any:
        """Return the signature, or None if the operands are not such vectors."""
        a, b = operands
        return Signature(a, (a, b), None) if isinstance(a, VectorType) and a == b else None


def arithmetic(symbol: Any, instruction: str) -> None:
    """Implement a Python operator on vectors by an instruction."""

    def emit(_: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = zip(*(divided(builder, x, signature.return_type.parts) for x in args), strict=True)
        return united(builder, [getattr(builder, instruction)(a, b) for a, b in parts])

    infer_global(symbol)(type(f"{instruction}_of_vectors", (Arithmetic,), {"key": symbol}))
    lower_builtin(symbol, VectorType, VectorType)(emit)


arithmetic(operator.add, "fadd")
arithmetic(operator.sub, "fsub")
arithmetic(operator.mul, "fmul")


@intrinsic
def splat(context, value):  # type: ignore[no-untyped-def]
    """Return a vector with `value` in every lane."""
    return vector(types.float32), lambda _, builder, signature, args: spread(builder, args[0])


@intrinsic
def wide_splat(context, value):  # type: ignore[no-untyped-def]
    """Return a wide vector with `value` in every lane."""
    return wide_vector(types.float32), lambda _, builder, signature, args: united(
        builder, [spread(builder, args[0])] * WIDE
    )


def reading(parts: int, unit: Any) -> Callable[..., Any]:
    """Return a function that emits the reading of a vector: `parts` times 8 floats or bytes.

    The last two operands are an array and an index.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = pointer(context, builder, signature.args[-2], args[-2], args[-1], unit)
        places = [builder.gep(first, [ir.Constant(INT32, LANES * i)]) for i in range(parts)]
        if unit is FLOAT:
            return united(builder, [read(builder, place, EIGHT) for place in places])
        values = [read(builder, place, EIGHT_BYTES, 1) for place in places]
        return united(builder, [builder.uitofp(value, EIGHT) for value in values])

    return emit


@intrinsic
def load(context, m, index):  # type: ignore[no-untyped-def]
    """Return m[index : index + 8]."""
    return vector(m, types.intp), reading(1, FLOAT)


@intrinsic
def load_like(context, like, m, index):  # type: ignore[no-untyped-def]
    """Return the floats from m[index] on, as a vector as wide as `like`."""
    return like(like, m, types.intp), reading(like.parts, FLOAT)


@intrinsic
def load_bytes(context, m, index):  # type: ignore[no-untyped-def]
    """Return eight bytes from the memory's byte `index` on, as floats."""
    return vector(m, types.intp), reading(1, BYTE)


@intrinsic
def load_bytes_like(context, like, m, index):  # type: ignore[no-untyped-def]
    """Return bytes, from the memory's byte `index` on, as floats in a vector as wide as `like`."""
    return like(like, m, types.intp), reading(like.parts, BYTE)


@intrinsic
def store(context, m, index, value):  # type: ignore[no-untyped-def]
    """Write a vector to m[index] and the following elements."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        address = pointer(context, builder, signature.args[0], *args[:2])
        for i, part in enumerate(divided(builder, args[2], value.parts)):
            write(builder, part, builder.gep(address, [ir.Constant(INT32, LANES * i)]))
        return context.get_dummy_value()

    return types.void(m, types.intp, value), emit


@intrinsic
def store_bytes(context, m, index, value):  # type: ignore[no-untyped-def]
    """Write eight integers from 0 to 255 as bytes, from the memory's byte `index` on."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        address = pointer(context, builder, signature.args[0], args[0], args[1], BYTE)
        whole = builder.fptosi(args[2], ir.VectorType(INT32, LANES))
        write(builder, builder.trunc(whole, EIGHT_BYTES), address, 1)
        return context.get_dummy_value()

    return types.void(m, types.intp, vector), emit


def grid(splat: bool) -> Callable[..., Any]:
    """Return the operation that loads a 3x3 grid of vectors, or of numbers broadcast to vectors."""

    @intrinsic
    def nine(context, m, index, column, row):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            m, index, column, row = args
            loaded = []
            for y in range(3):
                for x in range(3):
                    down = builder.mul(row, ir.Constant(row.type, y))
                    right = builder.mul(column, ir.Constant(row.type, x))
                    place = builder.add(index, builder.add(down, right))
                    address = pointer(context, builder, signature.args[0], m, place)
                    loaded.append(
                        spread(builder, builder.load(address, typ=FLOAT))
                        if splat
                        else read(builder, address, EIGHT)
                    )
            return context.make_tuple(builder, signature.return_type, loaded)

        i = types.intp
        return types.UniTuple(vector, 9)(m, i, i, i), emit

    return nine


load_nine = grid(splat=False)
load_nine_splats = grid(splat=True)


@intrinsic
def prefetch(context, m, index):  # type: ignore[no-untyped-def]
    """Prefetch the cache line of m[index]; changes no result."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        address = pointer(context, builder, signature.args[0], *args)
        address = builder.bitcast(address, ir.PointerType(BYTE))
        kind = ir.FunctionType(ir.VoidType(), [address.type, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        to_read, second_level, data = (ir.Constant(INT32, n) for n in (0, 2, 1))
        builder.call(function, [address, to_read, second_level, data])
        return context.get_dummy_value()

    return types.void(m, types.intp), emit


@intrinsic
def noinline(context):  # type: ignore[no-untyped-def]
    """Keep LLVM from inlining the kernel that calls this into its callers."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), emit
