"""The receptive field of every layer of a network, computed from the layers themselves.

Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks",
Distill, doi:10.23915/distill.00021; the sizes of the maps as in Dumoulin and Visin 2016, "A guide
to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from itertools import zip_longest

import torch
from pydantic import TypeAdapter
from torch import nn

from study.base.errors import UserError

# Layers whose output at a position depends, once trained, on their input at that position alone.
POINTWISE = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Flatten,
    nn.GELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.SiLU,
)


@dataclass(frozen=True)
class Row:
    """The input, or a layer with a window: a convolution or a pooling layer.

    Everything is counted along one side. A window of size k, stride s and dilation d on a map
    padded by p has

    - layer: the documents' name: `Conv1 (3x3)`, convolutions counted from 1; `MaxPool`; `AvgPool`
    - receptive_field: the input pixels that one position of its output depends on, that of the
      layer before + d (k - 1) j_in; where maps are padded, some may lie outside the image
    - n_in, n_out: positions in its input and its output,
      n_out = floor((n_in + 2 p - d (k - 1) - 1) / s) + 1
    - j_in, j_out: jump, the input pixels from one position to the next in its input and its
      output, j_out = s j_in
    - r_in, r_out: radius of the receptive field of its input and its output, in pixels from the
      field's centre to the centre of an outermost pixel: (receptive_field - 1) / 2, so a half where
      the field is even; r_out = r_in + d (k - 1) j_in / 2

    The documents do not say what their r is; this is what it is in their first four rows.
    """

    layer: str
    receptive_field: int
    n_in: int
    n_out: int
    j_in: int
    j_out: int
    r_in: float
    r_out: float


COLUMNS = tuple(field.name for field in fields(Row))
_rows = TypeAdapter(list[Row])


def table(network: nn.Sequential, image: tuple[int, int, int]) -> list[Row]:
    """Return the input's row and one for each convolution and pooling layer of `network`.

    `image`: [channels, side, side]. Raises UserError on a layer that is neither one of these nor
    known to be pointwise, and on windows or maps that are not square.
    """
    side = _side(image[1:], "the image")
    rows = [Row("Input", 1, side, side, 1, 1, 0, 0)]
    # A map of zeros goes through the layers, so that each says itself how large its output is.
    activations = torch.zeros(1, *image)
    convolutions = 0
    for index, layer in enumerate(network):
        if isinstance(layer, POINTWISE):
            continue
        where = f"layer {index}, {layer}"
        if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            raise UserError(
                f"{where}: no receptive field is known for it; use Conv2d, MaxPool2d, AvgPool2d"
                " or a layer in POINTWISE of study/receptive_field.py"
            )
        kernel, stride = _side(layer.kernel_size, where), _side(layer.stride, where)
        # Average pooling knows no dilation.
        dilation = _side(getattr(layer, "dilation", 1), where)
        if isinstance(layer, nn.Conv2d):
            convolutions += 1
            name = f"Conv{convolutions} ({kernel}x{kernel})"
        else:
            name = type(layer).__name__.removesuffix("2d")
        with torch.no_grad():
            activations = layer(activations)
        before = rows[-1]
        field = before.receptive_field + dilation * (kernel - 1) * before.j_out
        rows.append(
            Row(
                layer=name,
                receptive_field=field,
                n_in=before.n_out,
                n_out=_side(activations.shape[2:], where),
                j_in=before.j_out,
                j_out=stride * before.j_out,
                r_in=before.r_out,
                r_out=(field - 1) / 2,
            )
        )
    return rows


def _side(sizes: int | Sequence[int], where: str) -> int:
    """Return the one size that torch gives as a number or once per axis."""
    if isinstance(sizes, int):
        return sizes
    if len(set(sizes)) != 1:
        raise UserError(
            f"{where}: {' by '.join(map(str, sizes))} is not square; make the sides equal"
        )
    return sizes[0]


def differing(computed: Sequence[Row], documented: Sequence[Row]) -> list[frozenset[str]]:
    """Return, row by row, the names of the columns in which two tables differ.

    A row that only one of the tables has differs in every column.
    """
    return [
        frozenset(
            column
            for column in COLUMNS
            if ours is None or theirs is None or getattr(ours, column) != getattr(theirs, column)
        )
        for ours, theirs in zip_longest(computed, documented)
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Return `rows` as CSV, with a header; halves are the only fractions there are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for layer, *numbers in map(astuple, rows):
        writer.writerow([layer, *(f"{number:g}" for number in numbers)])
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """Return the rows that `to_csv` wrote."""
    return _rows.validate_python(list(csv.DictReader(io.StringIO(text))))
