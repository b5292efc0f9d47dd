"""Images whose latents have names: one by name, those near it, and two crossed."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from sngan_cond import Generator, GeneratorConfig, cross, mixture, morph, sample, vary, walk
from sngan_cond.ancestry import moved_name
from sngan_cond.blends import blend_text, class_blend, class_row
from sngan_cond.inputs import cross_inputs, vary_inputs, walk_inputs
from sngan_cond.latents import fractions
from tests.command_line import build
from tests.refusals import refused


@pytest.fixture(scope="module", name="G")
def _generator() -> Generator:
    return build(4)  # tench, crane, golf ball, crane


@pytest.fixture(scope="module", name="unconditional")
def _unconditional() -> Generator:
    return build(0)


def test_every_image_of_a_seed_has_a_name(G: Generator) -> None:
    images = sample(G, [2, 0, 2], seed=7, truncation=0.6)
    for i, label in enumerate([2, 0, 2]):
        assert torch.equal(sample(G, label, latent=f"7:{i}:0.6")[0], images[i])


def test_one_latent_serves_every_class(G: Generator, unconditional: Generator) -> None:
    images = sample(G, [3, 0, 1], latent="7:2")
    for image, label in zip(images, (3, 0, 1), strict=True):
        assert torch.equal(image, sample(G, label, latent="7:2", n=1)[0])
    assert torch.equal(sample(G, [3, 0], n=2, latent="7:2"), images[:2])
    assert torch.equal(sample(unconditional, latent="7:2"), sample(unconditional, n=3, seed=7)[2:])
    frames = morph(G, 3, 1, steps=3, latent="7:2")
    assert torch.equal(frames[[0, 2]], images[[0, 2]])
    assert torch.equal(mixture(G, {3: 1, 1: 1}, latent="7:2")[0], frames[1])


@pytest.mark.parametrize("given", [2, "2*0.7+0*0.3"])
def test_a_walk_from_a_name(G: Generator, given: int | str) -> None:
    """Also without rounding the latent of each of its frames, and with the truncation of its own end."""
    frames = walk(G, given, latent="7:2~0.4~8:1", to_seed=9, truncation=0.5, steps=5)
    for frame, way in zip(frames, fractions(5), strict=True):
        name = moved_name("7:2~0.4~8:1", way, "9:0:0.5")
        assert torch.equal(frame, mixture(G, class_blend(G.config, given), latent=name)[0])
    z, y = walk_inputs(G, in_class="golf ball", seed=7, to_seed=9, steps=3, truncation=0.5)
    named, _ = walk_inputs(G, in_class=2, latent="7:0:0.5", to_seed=9, steps=3, truncation=0.5)
    assert torch.equal(named, z)
    assert y is not None
    assert y.tolist() == [2, 2, 2]


def test_variations_lie_around_a_latent(G: Generator, unconditional: Generator) -> None:
    images = vary(G, 2, latent="7:3", radius=0.35, n=5, seed=11)
    assert (images.shape, images.dtype) == ((5, 3, 32, 32), torch.uint8)
    for i, image in enumerate(images):
        assert torch.equal(image, sample(G, 2, latent=f"7:3~0.35~11:{i}")[0])
    assert torch.equal(vary(G, 2, latent="7:3", radius=0.35, n=2, seed=11), images[:2])
    assert torch.equal(vary(G, 2, latent="7:3", radius=0, n=2), sample(G, [2, 2], latent="7:3"))
    assert torch.equal(vary(G, 2, latent="7:3", radius=1, n=3, seed=11), sample(G, [2] * 3, seed=11))
    blended = vary(G, "2*1+0*3", latent="7:3~0.5~1:1", n=2)
    assert torch.equal(blended[1], mixture(G, {2: 0.25, 0: 0.75}, latent="7:3~0.5~1:1~0.2~0:1")[0])
    plain = vary(unconditional, latent="7:3", n=2, seed=1, output="numpy")
    assert plain.shape == (2, 32, 32, 3)
    assert torch.equal(torch.from_numpy(plain[1]).permute(2, 0, 1), sample(unconditional, latent="7:3~0.2~1:1")[0])


def test_a_cross_goes_down_by_latent_and_along_by_class(G: Generator, unconditional: Generator) -> None:
    parents = {"latent": "7:2", "to_latent": "8:1~0.5~9:0"}
    images = cross(G, **parents, in_class="tench", to_class="2*0.6+1*0.3", steps=3).view(3, 3, 3, 32, 32)
    ends = ({0: 1}, {2: 0.6, 1: 0.3})
    for i, latent in ((0, "7:2"), (2, "8:1~0.5~9:0")):
        for j in (0, 2):
            assert torch.equal(images[i, j], mixture(G, ends[j // 2], latent=latent)[0])
    assert torch.equal(images[0, 0], sample(G, 0, latent="7:2")[0])
    half = mixture(G, {0: 3, 2: 2, 1: 1}, latent="7:2~0.5~(8:1~0.5~9:0)")[0]
    assert (images[1, 1].int() - half.int()).abs().max() <= 1  # rounding of the weights
    assert not torch.equal(images[0, 2], images[2, 0])
    strip = cross(unconditional, **parents, steps=3)
    assert strip.shape == (3, 3, 32, 32)
    assert torch.equal(strip[1], sample(unconditional, latent="7:2~0.5~(8:1~0.5~9:0)")[0])


def test_uniform_latents_are_named_alike() -> None:
    torch.manual_seed(8)
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=6, latent="uniform")).eval()
    for z, _ in (
        vary_inputs(G, latent="7:3", radius=0.9, n=3, seed=2),
        cross_inputs(G, latent="7:3", to_latent="1:0", steps=3),
        walk_inputs(G, latent="7:3", to_seed=1, steps=3),
    ):
        assert z.abs().max() <= 1
        assert len(z.unique(dim=0)) == 3


@pytest.mark.parametrize(
    ("given", "blend"),
    [
        (2, {2: 1}),
        ("golf ball", {2: 1}),
        ("3", {3: 1}),
        ("3*0.5", {3: 0.5}),
        ("3*0.7+1*0.3", {3: 0.7, 1: 0.3}),
        ("1*3+3*7+0*0", {1: 3, 3: 7}),
        ("03*1e-3+1*2", {3: 1e-3, 1: 2}),
        ("2*1e-60+0*1", {0: 1}),
    ],
)
def test_blends_are_read_and_written(G: Generator, given: int | str, blend: dict[int, float]) -> None:
    found = class_blend(G.config, given)
    assert list(found.items()) == list(blend.items())  # in their order
    text = blend_text(G.config, found)
    row = torch.zeros(4, dtype=torch.float64)
    row[list(blend)] = torch.tensor(list(blend.values()), dtype=torch.float64)
    torch.testing.assert_close(class_row(G.config, given), (row / row.sum()).float())
    assert torch.equal(class_row(G.config, text), class_row(G.config, given))
    assert blend_text(G.config, class_blend(G.config, text)) == text
    assert ("*" in text) == (len(blend) > 1)


def test_numbers_in_a_blend_are_indices_and_names_may_hold_a_star() -> None:
    config = build(4, class_names=("0", "2", "10", "2*"), class_ids=None).config
    assert class_blend(config, "2*0.5+1*0.5") == {2: 0.5, 1: 0.5}
    assert class_blend(config, "10") == {2: 1}
    assert class_blend(config, "2*") == {3: 1}
    assert blend_text(config, {2: 0.5, 1: 0}) == "10"
    refused(lambda: class_blend(config, "10*1+0*1"), "class 10: an index from 0 to 3")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("2*0.7+0*", "class '2*0.7+0*': a class, or a blend (label indices times weights) such as '0*0.7+1*0.3', is"),
        ("2*0.7 +0*0.3", "a class, or a blend"),
        ("2*0.7 0*0.3", "a class, or a blend"),  # what a link makes of a + that is not escaped
        ("2*-1+0*1", "a class, or a blend"),
        ("tench*1+0*1", "a class, or a blend"),
        ("*" * 10**6, "characters): a class, or a blend"),
        ("2*0.7+02*0.3", "class '2*0.7+02*0.3': class 02 is there twice"),
        ("2*0.7+4*0.3", "class 4: an index from 0 to 3"),
        ("2*0+1*0", "at least one above 0 is needed"),
        ("2*1e-60", "at least one above 0 is needed"),
        ("2*1" + "0" * 400 + "+1*1", "weight inf of class 2: a finite number from 0"),
        ("2*" + "9" * 39 + "+1*1", "a sum that is finite in float32"),
        ("crane", "class 'crane' means several"),
    ],
)
def test_what_is_no_blend_is_refused(G: Generator, given: str, words: str) -> None:
    refused(lambda: class_blend(G.config, given), words)
    refused(lambda: walk(G, given, to_seed=1), words)


@pytest.mark.parametrize(
    ("draw", "arguments", "words"),
    [
        (sample, {"classes": 0, "latent": "7"}, "latent='7': SEED:ROW"),
        (sample, {"classes": 0, "latent": "7:3", "seed": 0}, "seed=0 with latent='7:3': one of them is allowed"),
        (sample, {"classes": 0, "latent": "7:3", "truncation": 0.5}, "truncation=0.5 with latent='7:3': one of them"),
        (sample, {"classes": 0, "latent": "7:3", "generator": torch.Generator()}, "with latent='7:3': one of them"),
        (sample, {"classes": 0, "latent": "7:3", "n": 2}, "n=2 with latent='7:3': a latent has one image of a class"),
        (morph, {"from_class": 0, "to_class": 1, "latent": "7:3", "seed": 4}, "seed=4 with latent='7:3'"),
        (mixture, {"weights": {0: 1}, "latent": "7:3", "truncation": 1}, "truncation=1 with latent='7:3'"),
        (mixture, {"weights": {0: 1}, "latent": "7:3", "n": 3}, "n=3 with latent='7:3': a latent has one image"),
        (walk, {"in_class": 0, "to_seed": 1, "latent": "7:3", "seed": 4}, "seed=4 with latent='7:3'"),
        (walk, {"in_class": 0, "to_seed": 1, "latent": "7:3", "truncation": 0}, "truncation=0: "),
        (walk, {"to_seed": 1}, "in_class=None: one of this model's 4 classes, or a blend, is allowed"),
        (vary, {"in_class": 0, "latent": "7:3", "radius": 1.5}, "radius=1.5: a number from 0 to 1 is allowed"),
        (vary, {"in_class": 0, "latent": "7:3", "radius": True}, "radius=True: "),
        (vary, {"in_class": 0, "latent": "7:3", "radius": float("nan")}, "radius=nan: "),
        (vary, {"in_class": 0, "latent": "7:3", "n": 0}, "n=0: an integer from 1"),
        (vary, {"in_class": 0, "latent": "7:3", "seed": -1}, "seed=-1: "),
        (vary, {"latent": "7:3"}, "in_class=None: one of this model's 4 classes, or a blend"),
        (vary, {"in_class": 9, "latent": "7:3"}, "class 9: an index"),
        (cross, {"latent": "7:3", "to_latent": "7"}, "to_latent='7': SEED:ROW"),
        (cross, {"latent": "7", "to_latent": "7:3"}, "latent='7': SEED:ROW"),
        (cross, {"latent": "7:3", "to_latent": "7:3", "in_class": 0}, "to_class=None: one of this model's 4 classes"),
        (cross, {"latent": "7:3", "to_latent": "7:3", "to_class": 0}, "in_class=None: one of this model's 4 classes"),
        (cross, {"latent": "7:3", "to_latent": "1:1", "in_class": 0, "to_class": 1, "steps": 1}, "steps=1: an integer"),
    ],
)
def test_refusals(G: Generator, draw: Callable, arguments: dict[str, object], words: str) -> None:
    refused(lambda: draw(G, **arguments), words)


def test_refusals_without_classes(unconditional: Generator) -> None:
    refused(lambda: sample(unconditional, latent="7:3", n=2), "n=2 with latent='7:3'")
    pair = {"latent": "7:3", "to_latent": "7:3"}
    for draw in (
        partial(vary, latent="7:3", in_class=0),
        partial(vary, latent="7:3", in_class="0*1+1*1"),
        partial(cross, **pair, in_class=0),
        partial(cross, **pair, to_class=0),
    ):
        refused(lambda draw=draw: draw(unconditional), "this model has no classes")
