"""The record of a section in a plan, whose fields kernels read by name."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
)
from numpy.typing import NDArray

from study.engine.compilation import intrinsic

Plan = NDArray[np.int64]
"""Records one after the other; each field has 8 bytes."""
Record = Any
"""A record, in a kernel."""

SIDE = 28
"""Height and width of an image, in pixels."""

# A place is an offset: in floats, but of masks and corners in bytes.
INTEGERS = (  # noqa: SIM905
    # Shapes. Maps are square. Channels are padded to whole vectors, except `true_` ones.
    "size_in channels_in true_in padding kernel size channels true_channels out "
    # Frames, which hold a (with its padding) and dz: their widths, and the zeros around dz.
    "width dz_width border "
    # Blocks of a pass: images per block, rows per block, tiles along each side.
    "group rows tiles "
    # Pointwise convolutions: floats in a row of the matrix, and how many of them are used.
    "row depth "
    # Places of arrays for the batch: z, [n, size, size, channels], and its dropout mask. All others
    # are [n, out, out, channels], and so is the mask if `drop_last`: `source` and `kept` are z and
    # mask, or with pooling, max(floor, z) and the mask where each window has its maximum; `corner`
    # is where that is (0 to 3); g is the gradient with respect to the next input, times the mask.
    "z mask source kept corner g "
    # Coefficients: one number per channel, repeated for each pixel of a row.
    "scale shift back_scale back_slope back_shift bias_line "
    # Parameters, and the distance from each to its gradient.
    "weight bias gain offset running_mean running_var to_gradient "
    # Weights k, their transpose and their gradient in the kernels' layouts; Winograd's U, U^T, dU.
    "k kt dk us uts dus "
    # Scratch: frames; Winograd's V, M and a few vectors; sums over one image.
    "a dz da vs ms scratch buffer "
    # Places in the array of double precision: sums over all images, mean and standard deviation.
    "statistics gradient_sums bias_sums mean sd"
).split()
# Of dropout, 1 / (1 - probability); of the norm; 0 if a ReLU precedes the norm, else -infinity.
REALS = ("factor", "epsilon", "momentum", "floor")
# `dense` is not depthwise, `drawn` has dropout, `masked` is drawn or rectified.
FLAGS = (
    "dense", "normed", "rectified", "pooled", "drawn", "drop_last", "masked", "biased",
)  # fmt: skip

RECORD = np.dtype([
    *((name, np.int64) for name in INTEGERS),
    *((name, np.float64) for name in REALS),
    *((name, np.int64) for name in FLAGS),
])  # fmt: skip


class RecordType(types.Type):  # type: ignore[misc]
    """The Numba type of a record. Numba's own record type would take minutes to compile."""

    def __init__(self) -> None:
        """Name the type."""
        super().__init__(name="section")


record_type = RecordType()


@register_model(RecordType)
class RecordModel(models.PrimitiveModel):  # type: ignore[misc]
    """The LLVM type of a record: the address of its first field."""

    def __init__(self, manager: Any, kind: RecordType) -> None:
        """Represent the record by a pointer."""
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@infer_getattr
class RecordAttributes(AttributeTemplate):  # type: ignore[misc]
    """Types of the fields."""

    key = RecordType

    def generic_resolve(self, _kind: RecordType, name: str) -> Any:  # type: ignore[override]
        """Return the type of a field, or None if there is no such field."""
        if name in FLAGS:
            return types.boolean
        return types.float64 if name in REALS else types.int64 if name in INTEGERS else None


@lower_getattr_generic(RecordType)
def read_field(context: Any, builder: Any, _kind: RecordType, record: Any, name: str) -> Any:
    """Emit the code that reads a field."""
    index = ir.Constant(ir.IntType(64), list(RECORD.names or ()).index(name))
    value = builder.load(builder.gep(record, [index], inbounds=True), typ=ir.IntType(64))
    if name in FLAGS:
        return builder.icmp_signed("!=", value, ir.Constant(value.type, 0))
    return builder.bitcast(value, ir.DoubleType()) if name in REALS else value


@intrinsic
def record(context, plan, index):  # type: ignore[no-untyped-def]
    """Return record `index` of a plan."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        fields = ir.Constant(args[1].type, RECORD.itemsize // 8)
        return builder.gep(data, [builder.mul(args[1], fields)], inbounds=True)

    return record_type(plan, types.intp), emit
