"""Norms of convolutions as operators: beside dense matrices and Fourier transforms, and their bounds."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from tests.sngan_cond.constraints.helpers import dense
from tests.train.reproduction.test_figures_layers import CONVS, keep, matrix_norm, task_of
from train.errors import TrainError
from train.reproduction.figures.operators import Bounds, norm_ratios, operator_norm, ratio_bounds

SHAPES = [  # inputs, outputs, kernel, stride, padding, height, width
    (3, 4, (3, 3), 1, 1, 7, 5),
    (2, 5, (4, 4), 2, 1, 8, 6),
    (3, 2, (5, 3), (2, 1), (2, 0), 9, 6),
    (2, 3, (2, 2), 2, 0, 6, 4),
]


@pytest.mark.parametrize(("c_in", "c_out", "kernel", "stride", "padding", "height", "width"), SHAPES)
def test_norm_is_that_of_the_dense_matrix_and_within_the_bounds(
    c_in: int, c_out: int, kernel: tuple[int, int], stride: int, padding: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=padding).double()
    shape = (1, c_in, height, width)
    found = operator_norm(layer, torch.Size(shape), layer.weight.detach())
    matrix = dense(layer, shape[1:]).numpy()
    assert found == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-7)
    bounds = ratio_bounds(layer, torch.Size(shape))
    assert bounds.lower == 1
    ratio = found / matrix_norm(layer.weight.detach().numpy())
    assert 1 - 1e-9 <= ratio <= bounds.upper * (1 + 1e-9)


def test_norm_is_below_the_periodic_one_and_near_it_on_a_large_input() -> None:
    """Of a periodic input, Fourier transforms give every singular value; zeros at the edges only lose."""
    torch.manual_seed(1)
    layer = nn.Conv2d(2, 3, 3, padding=1).double()
    side = 24
    transforms = np.fft.fft2(layer.weight.detach().numpy(), s=(side, side))  # (3, 2, side, side)
    periodic = np.linalg.svd(transforms.transpose(2, 3, 0, 1), compute_uv=False).max()
    found = operator_norm(layer, torch.Size((1, 2, side, side)), layer.weight.detach())
    assert 0.98 * periodic < found < periodic


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side", "expected"),
    [
        (3, 1, 1, 16, Bounds(1.0, 3.0)),  # nine windows read a pixel
        (4, 2, 1, 16, Bounds(1.0, 2.0)),  # four
        (5, 2, 2, 28, Bounds(1.0, 3.0)),  # nine, of the even rows and columns
        (2, 2, 0, 8, Bounds(1.0, 1.0)),  # windows do not meet: the norms are the same
        (3, 1, 1, 2, Bounds(None, 2.0)),  # no window lies inside; four windows there are
    ],
)
def test_bounds_count_the_windows_that_read_a_pixel(
    kernel: int, stride: int, padding: int, side: int, expected: Bounds
) -> None:
    layer = nn.Conv2d(2, 3, kernel, stride=stride, padding=padding)
    found = ratio_bounds(layer, torch.Size((1, 2, side, side)))
    assert found.lower == expected.lower
    assert found.upper == pytest.approx(expected.upper)


def test_bounds_are_reached_and_norms_differ_without_them() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    layer.weight.data.fill_(1.0)
    ratio = operator_norm(layer, torch.Size((1, 1, 60, 60)), layer.weight.detach()) / 3
    assert 2.98 < ratio < 3  # an even kernel on an even image, but for the edges
    layer.weight.data.zero_()[0, 0, 1, 1] = 1.0
    assert operator_norm(layer, torch.Size((1, 1, 9, 7)), layer.weight.detach()) == pytest.approx(1)
    narrow = torch.Size((1, 1, 2, 2))
    layer.weight.data.fill_(1.0)[0, 0, 1, 1] = 0.0
    assert operator_norm(layer, narrow, layer.weight.detach()) / math.sqrt(8) > 1
    layer.weight.data.zero_()[0, 0, 0, 0] = 1.0  # a corner that one window of four has inside
    assert operator_norm(layer, narrow, layer.weight.detach()) == pytest.approx(1)


@pytest.mark.slow
def test_ratios_are_drawn_with_their_bounds(tmp_path: Path) -> None:
    tasks = [task_of("bssn/figure4", name, tmp_path) for name in ("sn_w", "sn_conv")]
    raw = keep(tasks[0], 5, change=4.0)
    keep(tasks[1], 5)
    figure = Figure()
    numbers = json.loads(json.dumps(norm_ratios(figure, tasks), allow_nan=False))
    assert list(numbers["bounds"]) == CONVS
    assert [bound["upper"] for bound in numbers["bounds"].values()] == pytest.approx(
        [3.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0]
    )
    values = [row[0]["values"] for row in numbers["rows"].values()]
    assert all(1 < one[name] < numbers["bounds"][name]["upper"] for one in values for name in CONVS)
    last = nn.Conv2d(16, 32, 3, padding=1, bias=False).double()  # at 4 x 4: the dense matrix is small
    last.weight.data.copy_(torch.tensor(raw[CONVS[6]]))
    expected = np.linalg.norm(dense(last, (16, 4, 4)).numpy(), 2) / matrix_norm(raw[CONVS[6]])
    assert values[0][CONVS[6]] == pytest.approx(expected, rel=1e-6)
    assert [len(axes.lines) for axes in figure.axes] == [4] * 7


def test_layers_that_pool_have_no_such_bounds(tmp_path: Path) -> None:
    task = task_of("bssn/table1", "imagenet_sn_1", tmp_path, "data.path=none")
    keep(task, 5)
    with pytest.raises(TrainError, match=r"architecture=resnet: .* pools or upsamples"):
        norm_ratios(Figure(), [task])
