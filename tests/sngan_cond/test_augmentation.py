"""Augmentation against loops over pixels written from the papers, its gradient, and how often it is applied."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sngan_cond.augmentation import NUMBERS, augmented

ALL = ("color", "translation", "cutout")


def draw(n: int, side: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, side, side, generator=rng, dtype=torch.float64) * 2 - 1
    return images, torch.rand(n, NUMBERS, generator=rng, dtype=torch.float64)


def by_hand(image: np.ndarray, numbers: np.ndarray, policy: tuple[str, ...], p: float) -> np.ndarray:
    """One image (3, R, R): Zhao et al. 2020, section 3, each transformation with probability p."""
    side, image = image.shape[-1], image.copy()
    does = dict(zip(("brightness", "saturation", "contrast", "translation", "cutout"), numbers[:5] < p, strict=True))
    value = dict(
        zip(("brightness", "saturation", "contrast", "down", "right", "top", "left"), numbers[5:], strict=True)
    )
    if "color" in policy:
        if does["brightness"]:
            image += value["brightness"] - 0.5  # from -0.5 to 0.5
        if does["saturation"]:
            grey = image.mean(axis=0)
            image = grey + 2 * value["saturation"] * (image - grey)  # from 0 to 2
        if does["contrast"]:
            image = image.mean() + (0.5 + value["contrast"]) * (image - image.mean())  # from 0.5 to 1.5
    if "translation" in policy and does["translation"]:
        farthest = round(side / 8 + 1e-9)  # half a pixel counts as one
        down, right = (list(range(-farthest, farthest + 1)) for _ in range(2))
        dy, dx = (steps[int(value[name] * len(steps))] for name, steps in (("down", down), ("right", right)))
        moved = np.zeros_like(image)
        for row in range(side):
            for column in range(side):
                if 0 <= row - dy < side and 0 <= column - dx < side:
                    moved[:, row, column] = image[:, row - dy, column - dx]
        image = moved
    if "cutout" in policy and does["cutout"]:
        size = round(side / 2 + 1e-9)
        centres = list(range(side + 1 if size % 2 == 0 else side))
        y, x = (centres[int(value[name] * len(centres))] for name in ("top", "left"))
        for row in range(y - size // 2, y - size // 2 + size):
            for column in range(x - size // 2, x - size // 2 + size):
                if 0 <= row < side and 0 <= column < side:
                    image[:, row, column] = 0
    return image


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ("cutout", "translation", "color")])
@pytest.mark.parametrize(("side", "p"), [(16, 1.0), (12, 0.6), (28, 0.5)])
def test_each_image_is_what_a_loop_over_its_pixels_makes_of_it(policy: tuple[str, ...], side: int, p: float) -> None:
    images, numbers = draw(12, side)
    found = augmented(images, numbers, policy=policy, strength=torch.tensor(p))
    expected = [by_hand(*pair, policy, p) for pair in zip(images.numpy(), numbers.numpy(), strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-14)  # float64, values up to about 5
    assert any(not np.array_equal(image, kept) for image, kept in zip(expected, images.numpy(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_strength_0_changes_no_bit(dtype: torch.dtype) -> None:
    images, numbers = draw(5, 12)
    images, numbers = images.to(dtype), numbers.float()
    numbers[0] = 0.0  # the least that is drawn
    found = augmented(images, numbers, policy=ALL, strength=torch.tensor(0.0))
    assert found.dtype == dtype
    assert torch.equal(found, images)


def test_the_extremes_of_what_is_drawn_move_by_an_eighth_and_cut_a_corner() -> None:
    """The largest number below 1 included, whose product with a count rounds to less than the count."""
    below = torch.tensor(1.0).nextafter(torch.tensor(0.0))
    image = torch.arange(1.0, 1 + 64 * 64).reshape(1, 1, 64, 64).expand(2, 3, 64, 64)
    numbers = torch.stack([torch.zeros(NUMBERS), below.expand(NUMBERS)])
    moved = augmented(image, numbers, policy=("translation",), strength=torch.tensor(1.0))
    assert torch.equal(moved[0, :, :56, :56], image[0, :, 8:, 8:])
    assert torch.equal(moved[1, :, 8:, 8:], image[1, :, :56, :56])
    assert [int((moved[i, 0] == 0).sum()) for i in range(2)] == [64**2 - 56**2] * 2
    cut = augmented(image, numbers, policy=("cutout",), strength=torch.tensor(1.0))[:, 0] == 0
    assert cut[0, :16, :16].all()
    assert cut[1, 48:, 48:].all()
    assert [int(hole.sum()) for hole in cut] == [16**2] * 2


def test_each_transformation_comes_as_often_as_the_strength_says() -> None:
    """Alone: of 4000 images the counts stray by 4 standard deviations at most, 1 in 16,000 times."""
    count, p = 4000, 0.3
    image = (
        torch.tensor([[0.5, -0.5], [0.1, -0.9]]).expand(count, 3, 2, 2) * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    )
    numbers = torch.rand(count, NUMBERS, generator=torch.Generator().manual_seed(3))
    for column, name in enumerate(("color", "color", "color", "cutout")):
        alone = numbers.clone()
        alone[:, [i for i in range(5) if i != (column if column < 3 else 4)]] = 1.0
        found = augmented(image, alone, policy=(name,), strength=torch.tensor(p))
        changed = int((found != image).flatten(1).any(dim=1).sum())
        # A cutout of 1 pixel in 2 x 2 always falls inside.
        assert abs(changed - p * count) < 4 * (p * (1 - p) * count) ** 0.5, (column, name)


def test_gradients_of_first_and_second_order() -> None:
    images, numbers = draw(3, 8, seed=1)
    numbers[:, :5] *= 0.7  # most are applied

    def squared(x: Tensor) -> Tensor:
        return augmented(x, numbers, policy=ALL, strength=torch.tensor(0.5)).square()

    assert torch.autograd.gradcheck(squared, images.requires_grad_(), fast_mode=True)
    assert torch.autograd.gradgradcheck(squared, images, fast_mode=True)


def test_channels_last_stays_and_changes_nothing() -> None:
    images, numbers = draw(4, 16)
    images, numbers = images.float(), numbers.float()
    a, b = (
        augmented(images.contiguous(memory_format=layout), numbers, policy=ALL, strength=torch.tensor(1.0))
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)  # the mean of an image is summed in another order
    assert b.is_contiguous(memory_format=torch.channels_last)
