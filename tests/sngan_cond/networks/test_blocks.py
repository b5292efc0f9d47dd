"""Both residual blocks against the paper's Figure 8, written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.networks.resnet import DownBlock, UpBlock


def plain_conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The layer's 1x1 or 3x3 convolution alone, without the change of side that it may be joined with."""
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)


def with_biases(block: nn.Module) -> nn.Module:
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return block


def up(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


@pytest.mark.parametrize("classes", [0, 3])
def test_up_block(classes: int) -> None:
    block, x = with_biases(UpBlock(4, 3, classes)), torch.randn(2, 4, 5, 6)
    y = torch.tensor([2, 0]) if classes else None
    h = plain_conv(block.conv1, up(F.relu(block.norm1(x, y))))
    expected = plain_conv(block.conv2, F.relu(block.norm2(h, y))) + plain_conv(block.skip, up(x))
    assert block(x, y).shape == (2, 3, 10, 12)
    torch.testing.assert_close(block(x, y), expected, rtol=1e-4, atol=1e-5)


def test_first_down_block_takes_raw_pixels_and_pools_the_skip_first() -> None:
    block, x = with_biases(DownBlock(3, 5, halves=True, is_first=True)), torch.randn(2, 3, 6, 8)
    before = x.clone()
    residual = F.avg_pool2d(plain_conv(block.conv2, F.relu(plain_conv(block.conv1, x))), 2)
    expected = residual + plain_conv(block.skip, F.avg_pool2d(x, 2))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, before)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize(("c_in", "c_out"), [(4, 6), (5, 5)])
def test_down_block(halves: bool, c_in: int, c_out: int) -> None:
    block, x = with_biases(DownBlock(c_in, c_out, halves=halves)), torch.randn(2, c_in, 4, 6)
    before = x.clone()
    h = plain_conv(block.conv2, F.relu(plain_conv(block.conv1, F.relu(x))))
    if halves or c_in != c_out:
        skipped = plain_conv(block.skip, x)  # of x itself: a ReLU in place would feed relu(x) here
    else:
        assert block.skip is None
        skipped = x
    expected = F.avg_pool2d(h + skipped, 2) if halves else h + skipped
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, before)


def test_width_between_the_convolutions() -> None:
    assert DownBlock(4, 6, halves=True).conv1.out_channels == 4
    assert DownBlock(4, 6, halves=True, hidden="output").conv1.out_channels == 6
    assert DownBlock(3, 6, halves=True, is_first=True).conv1.out_channels == 6


def test_a_skip_in_every_block() -> None:
    assert DownBlock(5, 5, halves=False).skip is None
    assert DownBlock(5, 5, halves=False, skip="always").skip is not None
