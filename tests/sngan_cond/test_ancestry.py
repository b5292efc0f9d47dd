"""Names of latents: what they are read as, how they are written, and what is none."""

from dataclasses import replace

import pytest
import torch

from sngan_cond import GeneratorConfig
from sngan_cond.ancestry import MAX_NAME, Source, canonical_name, moved_name, named_latent, source_name, sources
from sngan_cond.latents import draw_latents, fractions, random_source, slerp
from sngan_cond.validation import float32_text
from tests.refusals import refused

NORMAL = GeneratorConfig(resolution=32, num_classes=0, latent_dim=7)
UNIFORM = replace(NORMAL, latent="uniform")


def row(seed: int, index: int, truncation: float | None = None, *, latent: str = "normal") -> torch.Tensor:
    """Draw with more rows after it, on which it does not depend."""
    z = draw_latents(index + 3, 7, rng=random_source(seed), truncation=truncation, latent=latent)
    return z[index : index + 1]


def test_a_source_is_a_row_of_a_seed() -> None:
    for config in (NORMAL, UNIFORM):
        z = named_latent(config, "7:3")
        assert (z.shape, z.dtype) == ((1, 7), torch.float32)
        assert torch.equal(z, row(7, 3, latent=config.latent))
        assert torch.equal(named_latent(config, "7:3:0.6"), row(7, 3, 0.6, latent=config.latent))
    assert torch.equal(named_latent(NORMAL, f"{2**63 - 1}:1023"), row(2**63 - 1, 1023))
    assert not torch.equal(named_latent(NORMAL, "7:3"), named_latent(NORMAL, "3:7"))


def test_a_move_goes_a_fraction_of_the_way() -> None:
    a, b, c = row(7, 3), row(11, 2), row(5, 0, 0.5)
    first = slerp(a, b, torch.tensor([[0.2]]))
    assert torch.equal(named_latent(NORMAL, "7:3~0.2~11:2"), first)
    assert torch.equal(named_latent(NORMAL, "7:3~0.2~11:2~0.75~5:0:0.5"), slerp(first, c, torch.tensor([[0.75]])))
    later = slerp(b, c, torch.tensor([[0.75]]))
    assert torch.equal(named_latent(NORMAL, "7:3~0.2~(11:2~0.75~5:0:0.5)"), slerp(a, later, torch.tensor([[0.2]])))
    a, b = (row(seed, index, latent="uniform") for seed, index in ((7, 3), (11, 2)))
    torch.testing.assert_close(named_latent(UNIFORM, "7:3~0.25~11:2"), 0.75 * a + 0.25 * b)


@pytest.mark.parametrize("config", [NORMAL, UNIFORM], ids=lambda config: config.latent)
@pytest.mark.parametrize("steps", [2, 3, 8, 48, 1000])
def test_the_name_of_a_frame_gives_its_very_latent(config: GeneratorConfig, steps: int) -> None:
    """Against all frames in one call."""
    alpha = torch.linspace(0, 1, steps)[:, None]
    start, end = (row(seed, 0, latent=config.latent) for seed in (3, 4))
    path = slerp(start, end, alpha) if config.latent == "normal" else torch.lerp(start, end, alpha)
    names = [moved_name("3:0", way, "4:0") for way in fractions(steps)]
    assert len(set(names)) == steps
    assert (names[0], names[-1]) == ("3:0", "4:0")
    assert torch.equal(torch.cat([named_latent(config, name) for name in names]), path)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("007:03", "7:3"),
        ("7:3:0.70", "7:3:0.7"),
        ("7:3:1e300", "7:3:1e300"),
        ("7:3:2.0", "7:3:2"),
        ("(((7:3)))", "7:3"),
        ("7:3~0.20~11:2", "7:3~0.2~11:2"),
        ("7:3~2e-1~11:2", "7:3~0.2~11:2"),
        ("7:3~0.00001~11:2", "7:3~1e-05~11:2"),
        ("7:3~0.14285714924335480~11:2", "7:3~0.14285715~11:2"),
        ("(7:3~0.2~11:2)~0.5~(1:0)", "7:3~0.2~11:2~0.5~1:0"),
        ("1:0~0.5~(7:3~0.2~11:2)", "1:0~0.5~(7:3~0.2~11:2)"),
        ("1:0~0.5~(7:3~0~11:2)", "1:0~0.5~7:3"),
        ("7:3~0~11:2", "7:3"),
        ("7:3~1.0~(11:2~0.5~1:1)", "11:2~0.5~1:1"),
        ("7:3~1e-60~11:2", "7:3"),
    ],
)
def test_a_latent_has_one_canonical_name(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical == canonical_name(canonical)
    for config in (NORMAL, UNIFORM):
        assert torch.equal(named_latent(config, canonical), named_latent(config, name))


def test_numbers_survive_in_the_fewest_digits_of_float32() -> None:
    for value, text in (
        (0.2, "0.2"),
        (1 / 7, "0.14285715"),
        (0, "0"),
        (-0.0, "0"),
        (1, "1"),
        (2e6, "2e06"),
        (12, "12"),
    ):
        assert float32_text(value) == text
    for value in torch.rand(3000, generator=torch.Generator().manual_seed(1)).tolist():
        assert torch.tensor(float(float32_text(value))).item() == value


def test_names_are_built() -> None:
    assert source_name(7) == "7:0"
    assert source_name(7, 3, 0.7) == "7:3:0.7"
    child = moved_name("7:3", 0.2, "11:2")
    assert child == "7:3~0.2~11:2"
    assert moved_name(child, 0.5, child) == "7:3~0.2~11:2~0.5~(7:3~0.2~11:2)"
    assert moved_name(child, 0, "1:1") == child
    assert moved_name("1:1", 1, child) == child
    assert sources(moved_name(child, 0.5, "1:0:0.7")) == [Source(7, 3, None), Source(11, 2, None), Source(1, 0, 0.7)]
    refused(lambda: source_name(7, 1024), "row=1024: an integer from 0 to 1023")
    refused(lambda: source_name(-1), "seed=-1")
    refused(lambda: moved_name("7:3", 1.5, "1:1"), "fraction=1.5: a number from 0 to 1")
    for _ in range(5):
        child = moved_name(child, 0.5, child)
    refused(lambda: moved_name(child, 0.5, child), "latent='7:3~0.2~", "at most 1,000 characters")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (7, "latent=7: the name of a latent, such as '7:3', is allowed"),
        (None, "latent=None: the name of a latent"),
        ("", "latent='': SEED:ROW or SEED:ROW:TRUNCATION is allowed at its end, as in '7:3'"),
        ("7", "latent='7': SEED:ROW or SEED:ROW:TRUNCATION is allowed from its character 1 on"),
        ("7:", "from its character 1 on"),
        ("-7:3", "from its character 1 on"),
        ("7:-3", "from its character 1 on"),
        ("٧:3", "from its character 1 on"),
        (" 7:3", "from its character 1 on"),
        ("7:3 ", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3\n", "latent='7:3\\n': ~FRACTION~ is allowed from its character 4 on"),
        ("7:3:", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3:x", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3~", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3~0.5", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3~nan~1:1", "~FRACTION~ is allowed from its character 4 on"),
        ("7:3~0.5~", "SEED:ROW or SEED:ROW:TRUNCATION is allowed at its end"),
        ("7:3)", "~FRACTION~ is allowed from its character 4 on"),
        ("()", "SEED:ROW or SEED:ROW:TRUNCATION is allowed from its character 2 on"),
        ("(7:3", "~FRACTION~ or ) is allowed at its end"),
        ("(7:3~0.5~1:1", "~FRACTION~ or ) is allowed at its end"),
        ("7:3~0.5~1:1)", "~FRACTION~ is allowed from its character 12 on"),
        ("(" * 1000, "SEED:ROW or SEED:ROW:TRUNCATION is allowed at its end"),
        ("9223372036854775808:0", "seed=9223372036854775808: an integer from 0 to 9223372036854775807 is allowed"),
        ("9" * 700 + ":0", "is allowed from its character 1 on"),
        ("7:1024", "latent='7:1024': row=1024: an integer from 0 to 1023 is allowed"),
        ("7:3:0.01", "truncation=0.01: None or a finite threshold from 0.05"),
        ("7:3:1e999", "truncation=inf: "),
        ("7:3~1.01~1:1", "fraction=1.01: a number from 0 to 1 is allowed"),
        ("7:3~1e999~1:1", "fraction=inf: a number from 0 to 1 is allowed"),
        ("7:3~0.5~" * 1000, "(8002 characters): names of at most 1,000 characters are allowed"),
    ],
)
def test_what_is_no_name_is_refused(name: str, words: str) -> None:
    line = refused(lambda: named_latent(NORMAL, name), words)
    assert len(line) < 300
    assert refused(lambda: canonical_name(name)) == line
    assert refused(lambda: named_latent(NORMAL, name, "to_latent")).startswith("to_latent=")


def test_the_deepest_and_the_longest_names_are_read() -> None:
    deep = "(" * 498 + "7:3" + ")" * 498
    assert canonical_name(deep) == "7:3"
    left = "7:3" + "~0.5~1:1" * 124
    assert len(left) < MAX_NAME
    assert canonical_name(left) == left
    right = "7:3~1e-9~(" * 80 + "7:3" + ")" * 80
    assert len(right) < MAX_NAME
    assert named_latent(NORMAL, right).shape == (1, 7)
