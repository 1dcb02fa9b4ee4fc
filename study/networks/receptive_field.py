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

# Layers whose output at a position depends, after training, only on their input at that position.
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
class Field:
    """The receptive field of a layer's output, along one axis, in pixels of the image.

    Position p sees the pixels from `start + p * jump` on, `size` of them; with padding, some may be
    outside the image.
    """

    size: int = 1
    jump: int = 1
    start: int = 0

    def behind(self, kernel: int, stride: int, dilation: int, padding: int = 0) -> "Field":
        """Return the field behind a window on maps that have this one."""
        return Field(
            size=self.size + dilation * (kernel - 1) * self.jump,
            jump=self.jump * stride,
            start=self.start - padding * self.jump,
        )


@dataclass(frozen=True)
class Row:
    """A row of the table: the input, or a layer with a window (convolution or pooling).

    All numbers are along one axis. A window of size k, stride s and dilation d on a map padded by
    p has

    - layer: its name in the write-up: `Conv1 (3x3)`, counted from 1; `MaxPool`; `AvgPool`
    - receptive_field: number of image pixels that a position of its output depends on, that of the
      previous layer + d (k - 1) j_in; with padding, some of them may be outside the image
    - n_in, n_out: number of positions in its input and its output,
      n_out = floor((n_in + 2 p - d (k - 1) - 1) / s) + 1
    - j_in, j_out: jump, the distance in image pixels between neighboring positions of its input and
      its output, j_out = s j_in
    - r_in, r_out: radius of the receptive field of its input and its output, the distance in pixels
      from its center to the center of an outermost pixel: (receptive_field - 1) / 2, which is not
      an integer if the field is even; r_out = r_in + d (k - 1) j_in / 2

    The write-up does not define its r; this definition agrees with its first four rows.
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
    """Return a row for the input, and one for each convolution and pooling layer of `network`.

    `image`: [channels, side, side]. Raises UserError for other layers that are not in POINTWISE,
    and for windows or maps that are not square.
    """
    size = side(image[1:], "the image")
    rows = [Row("Input", 1, size, size, 1, 1, 0, 0)]
    field = Field()
    # A map of zeros goes through the layers to measure the size of their outputs.
    activations = torch.zeros(1, *image)
    convolutions = 0
    for index, layer in enumerate(network):
        if isinstance(layer, POINTWISE):
            continue
        where = f"layer {index}, {layer}"
        if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            raise UserError(
                f"{where}: the receptive field must be known; use Conv2d, MaxPool2d, AvgPool2d or a"
                " layer without a window in POINTWISE of study/networks/receptive_field.py"
            )
        kernel, stride = side(layer.kernel_size, where), side(layer.stride, where)
        # Average pooling has no dilation.
        dilation = side(getattr(layer, "dilation", 1), where)
        if isinstance(layer, nn.Conv2d):
            convolutions += 1
            name = f"Conv{convolutions} ({kernel}x{kernel})"
        else:
            name = type(layer).__name__.removesuffix("2d")
        with torch.no_grad():
            activations = layer(activations)
        # Padding, which may be a word, moves only the start of the field.
        field = field.behind(kernel, stride, dilation)
        before = rows[-1]
        rows.append(
            Row(
                layer=name,
                receptive_field=field.size,
                n_in=before.n_out,
                n_out=side(activations.shape[2:], where),
                j_in=before.j_out,
                j_out=field.jump,
                r_in=before.r_out,
                r_out=(field.size - 1) / 2,
            )
        )
    return rows


def side(sizes: int | Sequence[int], where: str) -> int:
    """Return a size that torch stores as one number or as one per axis.

    Raises UserError, which begins with `where`, if the axes differ.
    """
    if isinstance(sizes, int):
        return sizes
    if len(set(sizes)) != 1:
        raise UserError(
            f"{where}: windows and maps must be square, got {' by '.join(map(str, sizes))}"
        )
    return sizes[0]


def differing(computed: Sequence[Row], published: Sequence[Row]) -> list[frozenset[str]]:
    """Return, for each row, the names of the columns in which two tables differ.

    A row that is in only one of the tables differs in every column.
    """
    return [
        frozenset(
            column
            for column in COLUMNS
            if one is None or other is None or getattr(one, column) != getattr(other, column)
        )
        for one, other in zip_longest(computed, published)
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Return `rows` as CSV, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for layer, *numbers in map(astuple, rows):
        writer.writerow([layer, *(f"{number:g}" for number in numbers)])
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """Return the rows in the text of `to_csv`."""
    return _rows.validate_python(list(csv.DictReader(io.StringIO(text))))
