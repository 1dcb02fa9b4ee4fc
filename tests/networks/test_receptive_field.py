import copy

import pytest
import torch
from torch import nn

import models
from study.networks import receptive_field
from study.networks.receptive_field import Row
from tests.errors import message_of
from tests.evidence.hand_made import PUBLISHED

IMAGE = (1, 28, 28)

DEEPER = [
    Row("Input", 1, 28, 28, 1, 1, 0, 0),
    Row("Conv1 (3x3)", 3, 28, 26, 1, 1, 0, 1),
    Row("Conv2 (3x3)", 5, 26, 24, 1, 1, 1, 2),
    Row("Conv3 (3x3)", 7, 24, 22, 1, 1, 2, 3),
    Row("Conv4 (3x3)", 9, 22, 20, 1, 1, 3, 4),
    Row("MaxPool", 10, 20, 10, 1, 2, 4, 4.5),
    Row("Conv5 (1x1)", 10, 10, 10, 2, 2, 4.5, 4.5),
    Row("Conv6 (3x3)", 14, 10, 8, 2, 2, 4.5, 6.5),
    Row("Conv7 (3x3)", 18, 8, 6, 2, 2, 6.5, 8.5),
    Row("Conv8 (3x3)", 22, 6, 6, 2, 2, 8.5, 10.5),
    Row("AvgPool", 32, 6, 1, 2, 12, 10.5, 15.5),
    Row("Conv9 (1x1)", 32, 1, 1, 12, 12, 15.5, 15.5),
]
BLOCK_1 = [
    Row("Input", 1, 28, 28, 1, 1, 0, 0),
    Row("Conv1 (3x3)", 3, 28, 26, 1, 1, 0, 1),
    Row("Conv2 (3x3)", 5, 26, 24, 1, 1, 1, 2),
    Row("Conv3 (3x3)", 7, 24, 22, 1, 1, 2, 3),
    Row("MaxPool", 8, 22, 11, 1, 2, 3, 3.5),
    Row("Conv4 (1x1)", 8, 11, 11, 2, 2, 3.5, 3.5),
    Row("Conv5 (3x3)", 12, 11, 9, 2, 2, 3.5, 5.5),
]
NARROWING = [
    *BLOCK_1,
    Row("Conv6 (3x3)", 16, 9, 7, 2, 2, 5.5, 7.5),
    Row("Conv7 (1x1)", 16, 7, 7, 2, 2, 7.5, 7.5),
]
WORKED_BY_HAND = {
    "model_1": [*NARROWING, Row("Conv8 (7x7)", 28, 7, 1, 2, 2, 7.5, 13.5)],
    "model_2": [*NARROWING, Row("Conv8 (7x7)", 28, 7, 1, 2, 2, 7.5, 13.5)],
    "model_3": [*NARROWING, Row("AvgPool", 28, 7, 1, 2, 14, 7.5, 13.5)],
    "model_4": [*NARROWING, Row("AvgPool", 28, 7, 1, 2, 14, 7.5, 13.5)],
    "model_4_deeper": DEEPER,
    "model_4_pooled_first": [
        *NARROWING[:-1],
        Row("AvgPool", 28, 7, 1, 2, 14, 7.5, 13.5),
        Row("Conv7 (1x1)", 28, 1, 1, 14, 14, 13.5, 13.5),
    ],
    "model_5": [
        *BLOCK_1,
        Row("Conv6 (3x3)", 16, 9, 9, 2, 2, 5.5, 7.5),
        Row("AvgPool", 26, 9, 1, 2, 12, 7.5, 12.5),
        Row("Conv7 (1x1)", 26, 1, 1, 12, 12, 12.5, 12.5),
    ],
}


@pytest.mark.parametrize("name", WORKED_BY_HAND)
def test_table_equals_one_worked_by_hand(name: str) -> None:
    table = receptive_field.table(models.build(name, dropout=0.1), IMAGE)
    assert table == WORKED_BY_HAND[name]


def conv(kernel: int, stride: int = 1, padding: int | str = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False)


STRIDED = nn.Sequential(conv(3, stride=2, padding=1), nn.ReLU(), conv(3, stride=2, padding=1))
DILATED = nn.Sequential(conv(3, padding="same", dilation=2), nn.BatchNorm2d(1), conv(3, dilation=4))
POOLED = nn.Sequential(
    nn.AvgPool2d(3, stride=1, padding=1),
    nn.MaxPool2d(3, stride=2, ceil_mode=True),
    nn.MaxPool2d(2, stride=1, dilation=3),
)


@pytest.mark.parametrize(
    ("network", "rows"),
    [
        pytest.param(
            STRIDED,
            [
                Row("Conv1 (3x3)", 3, 28, 14, 1, 2, 0, 1),
                Row("Conv2 (3x3)", 7, 14, 7, 2, 4, 1, 3),
            ],
            id="stride",
        ),
        pytest.param(
            DILATED,
            [
                Row("Conv1 (3x3)", 5, 28, 28, 1, 1, 0, 2),
                Row("Conv2 (3x3)", 13, 28, 20, 1, 1, 2, 6),
            ],
            id="dilation",
        ),
        pytest.param(
            POOLED,
            [
                Row("AvgPool", 3, 28, 28, 1, 1, 0, 1),
                Row("MaxPool", 5, 28, 14, 1, 2, 1, 2),
                Row("MaxPool", 11, 14, 11, 2, 2, 2, 5),
            ],
            id="pooling",
        ),
    ],
)
def test_table_handles_stride_padding_and_dilation(network: nn.Sequential, rows: list[Row]) -> None:
    assert receptive_field.table(network, IMAGE)[1:] == rows


def vgg_16() -> nn.Sequential:
    blocks = [[*(conv(3, padding=1) for _ in range(n)), nn.MaxPool2d(2)] for n in (2, 2, 3, 3, 3)]
    return nn.Sequential(*(layer for block in blocks for layer in block))


def alexnet() -> nn.Sequential:
    pool = nn.MaxPool2d(3, stride=2)
    thirds = (conv(3, padding=1) for _ in range(3))
    return nn.Sequential(conv(11, stride=4), pool, conv(5, padding=2), pool, *thirds, pool)


@pytest.mark.parametrize(("network", "field"), [(alexnet(), 195), (vgg_16(), 212)])
def test_field_matches_araujo_2019(network: nn.Sequential, field: int) -> None:
    # Araujo, Norris and Sim 2019, table of receptive fields: effective stride 32 for both.
    last = receptive_field.table(network, (1, 224, 224))[-1]
    assert (last.receptive_field, last.j_out) == (field, 32)


def reached_by(network: nn.Sequential, side: int, position: int) -> tuple[range, range]:
    """Return the rows and columns of the input that the gradient of one output position reaches.

    With positive weights and images, no paths cancel and no ReLU is inactive. Max pooling passes
    the gradient to one pixel of a window; with several images, it reaches each of them once.
    """
    generator = torch.Generator().manual_seed(1)
    network = copy.deepcopy(network).double().eval()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5, generator=generator)
    images = torch.rand(16, 1, side, side, dtype=torch.float64, generator=generator)
    images.requires_grad_()
    network(images)[..., position, position].sum().backward()
    assert images.grad is not None
    reached = images.grad.sum((0, 1)) > 0
    rows, columns = reached.any(1).nonzero().flatten(), reached.any(0).nonzero().flatten()
    return (
        range(int(rows[0]), int(rows[-1]) + 1),
        range(int(columns[0]), int(columns[-1]) + 1),
    )


@pytest.mark.parametrize(
    "network",
    [
        *(pytest.param(models.build(name, dropout=0.1)[:-1], id=name) for name in WORKED_BY_HAND),
        pytest.param(STRIDED, id="stride"),
        pytest.param(DILATED, id="dilation"),
        pytest.param(POOLED, id="pooling"),
    ],
)
def test_field_is_what_gradients_reach(network: nn.Sequential) -> None:
    # Wide enough that a field in the middle does not touch the border.
    side = 52
    rows = iter(receptive_field.table(network, (1, side, side))[1:])
    for end, layer in enumerate(network, start=1):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            row = next(rows)
            middle = (row.n_out - 1) // 2
            here = reached_by(network[:end], side, middle)
            assert [len(axis) for axis in here] == [row.receptive_field] * 2
            assert row.r_out == (here[0][-1] - here[0][0]) / 2
            if row.n_out > middle + 1:
                there = reached_by(network[:end], side, middle + 1)
                assert there[0][0] - here[0][0] == row.j_out
    assert next(rows, None) is None


@pytest.mark.parametrize("name", ["model_1", "model_2"])
def test_differing_names_the_wrong_cells_of_the_write_up(name: str) -> None:
    published = PUBLISHED.models[name].receptive_field
    assert published is not None
    table = receptive_field.table(models.build(name, dropout=0.1), IMAGE)
    differing = receptive_field.differing(table, published)
    radius = {"r_in", "r_out"}
    assert dict(zip((row.layer for row in published), differing, strict=True)) == {
        "Input": set(),
        "Conv1 (3x3)": set(),
        "Conv2 (3x3)": set(),
        "Conv3 (3x3)": set(),
        "MaxPool": {"receptive_field", "r_out"},
        "Conv4 (1x1)": {"receptive_field", *radius},
        "Conv5 (3x3)": {"receptive_field", *radius},
        "Conv6 (3x3)": {"receptive_field", *radius},
        "Conv7 (1x1)": {"receptive_field", *radius},
        "Conv8 (7x7)": {"j_out", *radius},
    }


def test_differing_names_all_columns_of_a_missing_row() -> None:
    assert receptive_field.differing(BLOCK_1, BLOCK_1[:-1]) == [
        *[set()] * (len(BLOCK_1) - 1),
        set(receptive_field.COLUMNS),
    ]
    assert receptive_field.differing([], BLOCK_1[:1]) == [set(receptive_field.COLUMNS)]


def test_csv_roundtrip() -> None:
    text = receptive_field.to_csv(BLOCK_1)
    assert text.splitlines()[0] == "layer,receptive_field,n_in,n_out,j_in,j_out,r_in,r_out"
    assert text.splitlines()[5] == "MaxPool,8,22,11,1,2,3,3.5"
    assert receptive_field.from_csv(text) == BLOCK_1


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (nn.Linear(28, 10), "POINTWISE"),
        (nn.Conv2d(1, 1, (3, 5)), "3 by 5"),
        (nn.MaxPool2d(2, stride=(2, 1)), "2 by 1"),
        (nn.Conv2d(1, 1, 3, padding=(1, 0)), "28 by 26"),
    ],
)
def test_table_rejects_layers_that_it_cannot_describe(layer: nn.Module, problem: str) -> None:
    message = message_of(lambda: receptive_field.table(nn.Sequential(nn.ReLU(), layer), IMAGE))
    assert message.startswith(f"layer 1, {layer}: ")
    assert problem in message
