"""The stage table."""

import pytest

from sngan_cond.config import PLANS, plan_for
from tests.reference.synthetic import D_HALVES, D_WIDTHS, G_WIDTHS
from tests.refusals import refused


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_official_rows(side: int) -> None:
    plan = plan_for(side)
    assert (plan.g_widths, plan.d_widths, plan.d_halves) == (G_WIDTHS[side], D_WIDTHS[side], D_HALVES[side])
    assert plan.score_bias == (side != 32)
    assert (plan.g_channels, plan.d_channels) == ((256, 128) if side == 32 else (64, 64))


def test_48_px_is_table_5() -> None:
    plan = plan_for(48)
    assert plan.first_side == 6
    assert [64 * width for width in plan.g_widths] == [512, 256, 128, 64]
    assert [64 * width for width in plan.d_widths] == [64, 128, 256, 512, 1024]
    assert plan.d_halves == 4


@pytest.mark.parametrize("side", PLANS)
def test_every_up_block_doubles_the_side(side: int) -> None:
    plan = plan_for(side)
    assert plan.first_side * 2 ** (len(plan.g_widths) - 1) == side


def test_no_row_for_other_sides() -> None:
    refused(lambda: plan_for(96), "resolution=96: ", " plans for [32, 48, 64, 128, 256] px")
    assert 96 not in PLANS
