"""Seeds, latents, truncation, class mixtures, walks and bytes."""

import copy
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.swa_utils import AveragedModel

from sngan_cond import Generator, GeneratorConfig, mixture, morph, sample, sampling, walk
from sngan_cond.blends import class_weights
from sngan_cond.inputs import morph_inputs, sample_inputs, walk_inputs
from sngan_cond.latents import check_seed, check_truncation, draw_latents, slerp
from sngan_cond.sampling import check_batch_size, default_batch_size, generate, to_uint8
from tests.refusals import refused


@pytest.fixture(scope="module", name="G")
def _generator() -> Generator:
    torch.manual_seed(8)
    names = {
        "class_names": ("tench", "crane", "Hen", "crane", "snail"),
        "class_ids": ("n01", "n02", "n03", "n04", "n05"),
    }
    G = Generator(GeneratorConfig(resolution=32, num_classes=5, channels=4, latent_dim=6, **names))
    for module in G.modules():
        if hasattr(module, "gain"):
            torch.nn.init.normal_(module.gain, 1, 0.5)
            torch.nn.init.normal_(module.bias)
            module.norm.running_var.fill_(1.0)
    return G.eval()


@pytest.fixture(scope="module", name="unconditional")
def _unconditional() -> Generator:
    torch.manual_seed(8)
    return Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=6)).eval()


def latents(count: int, *, seed: int = 0, truncation: float | None = None, latent: str = "normal") -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return draw_latents(count, 300, rng=rng, truncation=truncation, latent=latent)


def test_same_seed_same_images(G: Generator) -> None:
    classes = [0, 3, 3, 1]
    images = sample(G, classes=classes, seed=5)
    assert (images.shape, images.dtype) == ((4, 3, 32, 32), torch.uint8)
    torch.manual_seed(99)  # global randomness has no influence
    assert torch.equal(sample(G, classes=classes, seed=5), images)
    assert not torch.equal(sample(G, classes=classes, seed=6), images)
    assert not torch.equal(images[1], images[2])  # one class, two latents


def test_images_depend_neither_on_how_many_follow_nor_on_the_global_state(G: Generator) -> None:
    state = torch.get_rng_state()
    few, many = sample(G, classes=[2, 4], seed=1), sample(G, classes=[2, 4, 0, 1, 3], seed=1)
    assert torch.equal(many[:2], few)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_batch_size_changes_nothing_but_rounding(G: Generator, batch_size: int) -> None:
    reference = sample(G, classes=[0, 1, 2, 3, 4], seed=3)
    images = sample(G, classes=[0, 1, 2, 3, 4], seed=3, batch_size=batch_size)
    difference = (images.int() - reference.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() <= 1e-3
    assert torch.equal(sample(G, classes=[0, 1, 2], seed=3, batch_size=batch_size), images[:3])


def test_by_default_a_batch_on_a_cpu_has_about_as_much_work_for_every_network() -> None:
    def size(resolution: int, channels: int, device: str = "cpu") -> int:
        network = torch.nn.Linear(1, 1, device=device)  # what has the configuration and is somewhere
        network.config = GeneratorConfig(resolution=resolution, num_classes=2, channels=channels)
        return default_batch_size(network)

    assert size(128, 64) == 4  # 4 x 128^2 x 64 = 2^22
    assert size(32, 256) == 16
    assert size(32, 2) == 64  # at most
    assert size(256, 128) == 1  # at least
    assert size(128, 64, "meta") == 16  # as on a GPU, whatever the network is


def test_a_batch_ahead_changes_no_image(G: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU the next batch is launched before one is handed out; here a CPU is made to do so."""
    z, y = latents(7)[:, :6], torch.arange(7) % 5
    expected = list(generate(G, z, y, batch_size=3))
    launched = []
    hook = G.register_forward_hook(lambda *_: launched.append(len(launched)))
    try:
        for ahead, seen in ((0, [1, 2, 3]), (1, [2, 3, 3]), (9, [3, 3, 3])):
            monkeypatch.setitem(sampling._AHEAD, "cpu", ahead)
            launched.clear()
            for images, whole, count in zip(generate(G, z, y, batch_size=3), expected, seen, strict=True):
                assert torch.equal(images, whole)
                assert len(launched) == count
    finally:
        hook.remove()


def test_under_autocast_to_bfloat16_a_seed_gives_its_own_images_again_and_again(G: Generator) -> None:
    """8 bits of mantissa in each of a dozen layers: some levels of 255 beside float32, and never by chance."""
    exact = sample(G, classes=[0, 1, 2, 3, 4], seed=3)
    with torch.autocast("cpu", torch.bfloat16):
        images = [sample(G, classes=[0, 1, 2, 3, 4], seed=3) for _ in range(2)]
        first = sample(G, classes=[0], seed=3)
    assert torch.equal(*images)
    assert torch.equal(first, images[0][:1])
    difference = (images[0].int() - exact.int()).abs().float()
    assert 0 < difference.mean() < 4


def test_the_mode_of_the_generator_is_restored(G: Generator) -> None:
    before = G.network.norm.running_mean.clone()
    G.train()
    G.network.eval()
    modes = [module.training for module in G.modules()]  # mixed ones come back as they were
    sample(G, classes=[1])
    assert [module.training for module in G.modules()] == modes
    G.eval()
    sample(G, classes=[1])
    assert not G.training
    assert torch.equal(G.network.norm.running_mean, before)


def test_threads_that_sample_from_a_generator_in_training_do_not_disturb_each_other(G: Generator) -> None:
    z, y = latents(4)[:, :6], torch.arange(4)
    expected, before = torch.cat(list(generate(G, z, y, batch_size=2))), copy.deepcopy(G.state_dict())
    G.train()
    first, second = (generate(G, z, y, batch_size=2) for _ in range(2))
    found = [next(first), next(second), next(first)]  # as threads take turns
    assert next(first, None) is None
    found.append(next(second))
    second.close()
    assert G.training
    G.eval()
    assert torch.equal(torch.cat([found[0], found[2]]), expected)
    assert torch.equal(torch.cat([found[1], found[3]]), expected)
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_normal_latents() -> None:
    z = latents(100)
    assert (z.shape, z.dtype) == ((100, 300), torch.float32)
    assert abs(z.mean().item()) < 5 / math.sqrt(30_000)
    assert z.std().item() == pytest.approx(1, abs=5 / math.sqrt(60_000))
    assert z.abs().max() > 3.5


@pytest.mark.parametrize("threshold", [0.05, 0.5, 2.0])
def test_truncation_draws_again_and_does_not_clip(threshold: float) -> None:
    z, plain = latents(50, truncation=threshold), latents(50)
    assert z.abs().max() <= threshold
    # Clipping would put every outside value on the threshold; a normal between the limits has almost none near it.
    assert (z.abs() > 0.999 * threshold).float().mean() < 0.01
    inside = math.erf(threshold / math.sqrt(2))
    variance = 1 - 2 * threshold * math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi) / inside
    assert z.std().item() == pytest.approx(math.sqrt(variance), rel=0.03)
    kept = plain[0].abs() <= threshold
    assert torch.equal(z[0][kept], plain[0][kept])  # the first row starts from the same draws


def test_uniform_latents() -> None:
    z = latents(100, latent="uniform")
    assert -1 <= z.min() < -0.99
    assert 0.99 < z.max() <= 1
    assert z.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert latents(5, latent="uniform", truncation=0.25).abs().max() <= 0.25


def test_bytes() -> None:
    x = torch.tensor([-2.0, -1.0, -0.999, 0.0, 0.5, 0.9999, 1.0, 3.0])
    assert to_uint8(x).tolist() == [0, 0, 0, 127, 191, 254, 255, 255]  # 127.5, 191.25, 254.99 are cut


def test_generate_takes_rows_of_weights(G: Generator) -> None:
    z = latents(2)[:, :6]
    rows = torch.tensor([[0.0, 1.0, 0, 0, 0], [0.5, 0, 0, 0.5, 0]])
    images = torch.cat(list(generate(G, z, rows)))
    assert torch.equal(images[:1], torch.cat(list(generate(G, z[:1], torch.tensor([1])))))
    assert images.shape == (2, 3, 32, 32)


def test_morph_goes_from_one_class_to_the_other_with_one_latent(G: Generator) -> None:
    images = morph(G, from_class=3, to_class=0, steps=5, seed=7)
    assert (images.shape, images.dtype) == ((5, 3, 32, 32), torch.uint8)
    assert torch.equal(images[0], sample(G, classes=[3], seed=7)[0])
    assert torch.equal(images[-1], sample(G, classes=[0], seed=7)[0])
    distances = [(images[i].float() - images[0].float()).norm().item() for i in range(5)]
    assert distances == sorted(distances)
    assert not torch.equal(morph(G, from_class=0, to_class=3, steps=5, seed=7)[0], images[0])


def test_a_mixture_shows_its_classes_by_their_weights(G: Generator) -> None:
    images = mixture(G, weights={3: 0.7, 0: 2.1}, n=3, seed=7)
    assert (images.shape, images.dtype) == ((3, 3, 32, 32), torch.uint8)
    # On the line between the two classes, at three quarters.
    assert torch.equal(images[0], morph(G, from_class=3, to_class=0, steps=5, seed=7)[3])
    assert torch.equal(mixture(G, weights={3: 0.7}, n=2, seed=7), sample(G, classes=[3, 3], seed=7))


def test_a_walk_goes_from_one_latent_to_the_other_within_a_class(G: Generator) -> None:
    images = walk(G, in_class=3, seed=7, to_seed=8, steps=5)
    assert (images.shape, images.dtype) == ((5, 3, 32, 32), torch.uint8)
    assert torch.equal(images[0], sample(G, classes=[3], seed=7)[0])
    assert torch.equal(images[-1], sample(G, classes=[3], seed=8)[0])
    assert torch.equal(walk(G, in_class=3, seed=8, to_seed=7, steps=5)[0], images[-1])
    still = walk(G, in_class=3, seed=7, to_seed=7, steps=3)
    assert torch.equal(still, images[:1].expand(3, -1, -1, -1))


def test_a_great_circle_keeps_the_length_and_turns_evenly() -> None:
    start, end = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0]])
    path = slerp(start, end, torch.tensor([[0.0], [1 / 3], [1.0]]))
    expected = torch.tensor([[3.0, 0, 0], [3 * math.cos(math.pi / 6), 3 * math.sin(math.pi / 6), 0], [0, 3.0, 0]])
    torch.testing.assert_close(path, expected)  # closed form; float32 rounding
    opposite = slerp(start, -start, torch.tensor([[0.25]]))
    assert torch.equal(opposite, torch.tensor([[1.5, 0.0, 0.0]]))


def test_uniform_latents_are_walked_straight() -> None:
    torch.manual_seed(8)
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=6, latent="uniform")).eval()
    z, y = walk_inputs(G, seed=1, to_seed=2, steps=3, truncation=None)
    assert y is None
    torch.testing.assert_close(z[1], (z[0] + z[2]) / 2)  # within the cube, where a circle may leave it


def test_class_weights(G: Generator) -> None:
    assert class_weights(G.config, {"Snail": np.float32(3), np.int64(1): torch.tensor(1)}).tolist() == [
        0,
        0.25,
        0,
        0,
        0.75,
    ]


def test_without_classes(unconditional: Generator) -> None:
    images = sample(unconditional, n=3, seed=2)
    assert images.shape == (3, 3, 32, 32)
    assert torch.equal(sample(unconditional, seed=2), images[:1])


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        (sample, {"classes": []}, "classes is empty"),
        (sample, {}, "classes=None: this model has 5 classes; one, or one per image, is needed"),
        (sample, {"classes": 5, "n": 2}, "class 5: an index from 0 to 4, a name or a WordNet id is allowed"),
        (sample, {"classes": [-1]}, "class -1: "),
        (sample, {"classes": [True]}, "class True: "),
        (sample, {"classes": [1, "bicycle"]}, "class 'bicycle' is unknown: an index from 0 to 4, a name or a WordNet"),
        (sample, {"classes": "crane"}, "class 'crane' means several: 1 / n02 / crane, 3 / n04 / crane"),
        (sample, {"classes": np.array([1.0, 2.0])}, "class 1.0: an index"),
        (sample, {"classes": [[0, 1], [2, 3]]}, "class [0, 1]: an index"),
        (sample, {"classes": torch.tensor([[1], [2]])}, "class [1]: an index"),
        (sample, {"classes": torch.tensor([True])}, "class True: an index"),
        (sample, {"classes": [None]}, "class None: an index"),
        (sample, {"classes": b"tench"}, "class b'tench': an index"),
        (sample, {"classes": [0, 1], "n": 3}, "n=3 with 2 classes"),
        (sample, {"classes": 0, "n": 0}, "n=0: an integer from 1 to 1000000 is allowed"),
        (sample, {"classes": 0, "output": "jpg"}, "output='jpg': allowed are tensor, numpy, pil"),
        (sample, {"classes": 0, "progress": 5}, "progress=5: True, None or a function"),
        (sample, {"classes": 0, "generator": 5}, "generator=5: a torch.Generator on the CPU"),
        (sample, {"classes": 0, "generator": torch.Generator(), "seed": 0}, "seed=0 with a generator: one of them"),
        (sample, {"classes": [0], "seed": -1}, "seed=-1: an integer from 0 to 9223372036854775807"),
        (sample, {"classes": [0], "seed": 2**63}, "seed=9223372036854775808: "),
        (sample, {"classes": [0], "seed": 1.5}, "seed=1.5: "),
        (sample, {"classes": [0], "truncation": 0}, "truncation=0: "),
        (sample, {"classes": [0], "truncation": float("nan")}, "truncation=nan: "),
        (sample, {"classes": [0], "truncation": float("inf")}, "truncation=inf: "),
        (sample, {"classes": [0], "truncation": "0.7"}, "truncation='0.7': "),
        (sample, {"classes": [0], "truncation": 10**400}, "characters): None or a finite threshold"),
        (
            sample,
            {"classes": [0], "truncation": np.array([0.5, 0.7])},
            "truncation=array([0.5, 0.7]): a number or None",
        ),
        (sample, {"classes": [0], "batch_size": 0}, "batch_size=0: "),
        (sample, {"classes": [0], "batch_size": -3}, "batch_size=-3: "),
        (morph, {"from_class": 0, "to_class": 9}, "class 9: "),
        (morph, {"from_class": 0, "to_class": 1, "steps": 1}, "steps=1: an integer from 2"),
        (morph, {"from_class": 0, "to_class": 1, "steps": 2.0}, "steps=2.0: "),
        (walk, {"to_seed": 1, "in_class": 9}, "class 9: "),
        (morph, {"from_class": [0], "to_class": 1}, "class [0]: an index"),
        (walk, {"to_seed": 1}, "in_class=None: one of this model's 5 classes"),
        (walk, {"to_seed": -1, "in_class": 1}, "to_seed=-1: "),
        (walk, {"to_seed": 1, "in_class": 1, "steps": 1}, "steps=1: an integer from 2"),
        (walk, {"to_seed": 1, "in_class": 1, "steps": 10**12}, "steps=1000000000000: an integer from 2 to 1000000"),
        (sample, {"classes": 0, "n": 10**12}, "n=1000000000000: an integer from 1 to 1000000"),
        (mixture, {"weights": {0: 1.0}, "n": 10**12}, "n=1000000000000: an integer from 1 to 1000000"),
        (walk, {"to_seed": 1, "in_class": 1, "truncation": 0.0}, "truncation=0.0: "),
        (mixture, {"weights": {0: 1.0}, "n": 0}, "n=0: an integer from 1"),
    ],
)
def test_refusals(G: Generator, draw: Callable, arguments: dict[str, object], message: str) -> None:
    refused(lambda: draw(G, **arguments), message)


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        (sample, {"classes": [0]}, "classes are given: a generator without classes takes n"),
        *((sample, {"n": n}, f"n={n}: an integer from 1") for n in (0, -2, 2.5, True)),
        (morph, {"from_class": 0, "to_class": 1}, "this model has no classes"),
        (mixture, {"weights": {0: 1.0}}, "this model has no classes"),
        (walk, {"in_class": 0, "to_seed": 1}, "this model has no classes"),
    ],
)
def test_refusals_without_classes(
    unconditional: Generator, draw: Callable, arguments: dict[str, object], message: str
) -> None:
    refused(lambda: draw(unconditional, **arguments), message)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: -1.0}, "weight -1.0 of class 0"),
        ({0: float("nan")}, "weight nan of class 0"),
        ({0: "1"}, "weight '1' of class 0"),
        ({0: torch.ones(2)}, "weight tensor([1., 1.]) of class 0"),
        ({0: 10**400}, "characters) of class 0"),
        ({7: 1.0}, "class 7: "),
        ({"Hen": 1.0, 2: 0.5}, "weights={'Hen': 1.0, 2: 0.5}: class 2 is there twice"),
        ([0.5, 0.5], "weights=[0.5, 0.5]: a dictionary"),
        ({0: 0.0}, "at least one above 0"),
        ({0: 1e-60}, "at least one above 0"),
        ({0: 1e300}, "a sum that is finite in float32"),
        ({0: 3e38, 1: 3e38}, "a sum that is finite in float32"),
        ({}, "at least one above 0"),
    ],
)
def test_refused_class_weights(G: Generator, weights: dict[object, float], message: str) -> None:
    refused(lambda: class_weights(G.config, weights), message)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        (2, ["hen", "n02"]),
        ("Hen", (2, "crane (n02)")),
        ("n03", np.array([2, 1], np.uint8)),
        (np.int32(2), np.array(["2", "n02"])),
        (torch.tensor(2), torch.tensor([2, 1])),
        (np.array("hen"), [torch.tensor(2), np.int64(1)]),
    ],
)
def test_classes_are_named_in_any_way(G: Generator, one: object, several: object) -> None:
    def labels(classes: object, n: int | None = None) -> list[int]:
        _, y = sample_inputs(G, classes=classes, n=n)
        assert y is not None
        return y.tolist()

    assert (labels(several), labels(one), labels(one, n=3)) == ([2, 1], [2], [2, 2, 2])
    _, y = morph_inputs(G, from_class=one, to_class="snail", steps=np.int64(2))
    assert torch.equal(y, torch.eye(5)[[2, 4]])
    _, y = walk_inputs(G, in_class=one, to_seed=1, steps=2)
    assert torch.equal(y, torch.tensor([2, 2]))


def test_a_generator_draws_as_its_seed_does_and_moves_on(G: Generator) -> None:
    rng = torch.Generator().manual_seed(3)
    first, second = (sample(G, 2, n=2, generator=rng) for _ in range(2))
    assert torch.equal(first, sample(G, 2, n=2, seed=3))
    assert torch.equal(torch.cat([first, second]), sample(G, 2, n=4, seed=3))
    rng.manual_seed(3)
    assert torch.equal(morph(G, 2, 1, steps=2, generator=rng)[:1], first[:1])
    assert torch.equal(mixture(G, {2: 1}, generator=rng), first[1:])

    class Elsewhere(torch.Generator):
        device = torch.device("cuda:1")  # which this machine has not

    refused(lambda: sample(G, 2, generator=Elsewhere()), "generator on cuda:1: one on the CPU is allowed")


def test_images_come_as_tensors_arrays_or_pillows(G: Generator) -> None:
    images = sample(G, 2, n=3, seed=3)
    array = walk(G, 2, seed=3, to_seed=4, steps=3, output="numpy")
    assert (array.shape, array.dtype) == ((3, 32, 32, 3), np.uint8)
    assert np.array_equal(array[0], images[0].permute(1, 2, 0))
    pictures = sample(G, 2, n=3, seed=3, output="pil")
    assert [(picture.mode, picture.size) for picture in pictures] == [("RGB", (32, 32))] * 3
    assert np.array_equal(np.stack(pictures), images.permute(0, 2, 3, 1))


def test_progress_is_told_after_every_batch_and_may_cancel(G: Generator, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    plain = sample(G, 2, n=5, batch_size=2, seed=3)
    followed = sample(G, 2, n=5, batch_size=2, seed=3, progress=lambda *numbers: told.append(numbers))
    assert torch.equal(followed, plain)
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert capsys.readouterr() == ("", "")
    assert torch.equal(mixture(G, {2: 1}, n=5, batch_size=2, seed=3, progress=True), plain)
    out, err = capsys.readouterr()
    assert out == ""
    assert "5/5" in err

    def cancel(done: int, _: int) -> None:
        told.append(done)
        raise KeyboardInterrupt

    G.train()
    with pytest.raises(KeyboardInterrupt):
        sample(G, 2, n=5, batch_size=2, progress=cancel)
    assert told[3:] == [2]
    assert G.training
    G.eval()


@pytest.mark.parametrize(("dtype", "error"), [(torch.float16, 0.5), (torch.bfloat16, 3), (torch.float64, 0.01)])
def test_latents_take_the_generators_type(G: Generator, dtype: torch.dtype, error: float) -> None:
    """In levels of 255: halves of 2**-11, bfloat16's of 2**-8, and float64 rounds a byte otherwise now and then."""
    cast = copy.deepcopy(G).to(dtype)
    for draw in (
        partial(sample, classes="hen"),
        partial(mixture, weights={2: 1, 4: 2}),
        partial(walk, in_class=2, to_seed=1),
    ):
        images, expected = draw(cast), draw(G)
        assert images.dtype == torch.uint8
        assert (images.int() - expected.int()).abs().float().mean() < error


def test_wrapped_generators(G: Generator) -> None:
    expected = sample(G, 2, n=3, seed=3)
    inner = copy.deepcopy(G)
    for wrapped in (nn.DataParallel(inner), AveragedModel(G)):
        wrapped.train()
        assert torch.equal(sample(wrapped, 2, n=3, seed=3), expected)
        assert wrapped.training
    for other in (nn.Linear(2, 2), nn.DataParallel(nn.Linear(2, 2)), None):
        refused(lambda G=other: sample(G, 2), "a Generator, also a compiled, parallel or averaged one, is allowed")


@pytest.mark.slow
def test_a_compiled_generator_and_a_distributed_one(G: Generator) -> None:
    expected, inner = sample(G, 2, n=3, seed=3), copy.deepcopy(G)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        compiled = torch.compile(inner, backend="eager")
        for wrapped in (compiled, nn.DataParallel(compiled), nn.parallel.DistributedDataParallel(inner)):
            wrapped.train()
            assert torch.equal(sample(wrapped, 2, n=3, seed=3), expected)
            assert wrapped.training
    finally:
        dist.destroy_process_group()


def test_every_kind_of_integer_is_one(G: Generator) -> None:
    expected = sample(G, classes=[2, 1], seed=3)
    assert torch.equal(sample(G, classes=[2, 1], seed=np.int64(3)), expected)
    assert torch.equal(sample(G, classes=[2, 1], seed=torch.tensor(3)), expected)
    assert torch.equal(sample(G, classes=[2, 1], seed=3, batch_size=np.int64(64)), expected)
    for other in (True, 3.0, np.float64(3), np.bool_(True), torch.tensor([1, 2]), torch.tensor(True)):
        refused(partial(check_seed, other), "an integer from 0")
        refused(partial(check_batch_size, other), "an integer from 1 to 65536")


def test_pytorchs_defaults_change_no_image(G: Generator) -> None:
    def images() -> torch.Tensor:
        steps = {"steps": 3, "seed": 3, "truncation": 0.9}
        several = sample(G, [2, 1], seed=3), sample(G, 1), mixture(G, {1: 0.3, 2: 0.5}, seed=3)
        return torch.cat([*several, walk(G, 1, to_seed=4, **steps), morph(G, 1, 2, **steps)])

    expected = images()
    with torch.device("meta"):  # in the place of a GPU
        assert torch.equal(images(), expected)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(images(), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_class_weights_of_any_float_are_taken(G: Generator) -> None:
    z, weights = latents(1)[:, :6], torch.tensor([[0.25, 0, 0, 0.75, 0]])
    single, double = (next(generate(G, z, weights.to(dtype))) for dtype in (torch.float32, torch.float64))
    assert torch.equal(single, double)


def test_limits_that_are_allowed() -> None:
    assert check_seed(2**63 - 1) == 2**63 - 1
    assert check_truncation(None) is None
    for half in (np.float32(0.5), torch.tensor(0.5)):
        assert check_truncation(half) == 0.5
    assert check_truncation(1) == 1.0
