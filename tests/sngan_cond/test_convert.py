"""Snapshots of sizes and heads without official numbers, and files that are no snapshots."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sngan_cond import Generator
from sngan_cond.convert import discriminator_from_chainer, generator_from_chainer
from tests.reference import functional
from tests.reference.fixtures import OFFICIAL, TEST_OUTPUT, TRAIN_OUTPUT, relative_error
from tests.reference.synthetic import discriminator_arrays, generator_arrays, save
from tests.refusals import refused

G_CASES = {
    "256 px": (256, {"ch": 1, "dim_z": 5, "classes": 3}),
    "256 px without classes": (256, {"ch": 2, "dim_z": 9, "classes": 0}),
    "128 px without classes": (128, {"ch": 3, "dim_z": 4, "classes": 0}),
    "128 px, one class": (128, {"ch": 1, "dim_z": 1, "classes": 1}),
    "64 px without classes": (64, {"ch": 3, "dim_z": 128, "classes": 0}),
    "32 px": (32, {"ch": 7, "dim_z": 11, "classes": 13}),
}
D_CASES = {
    "256 px, projection": (256, {"ch": 1, "classes": 3}, "projection"),
    "256 px, unconditional": (256, {"ch": 2}, "unconditional"),
    "256 px, concat": (256, {"ch": 1, "classes": 4, "dim_emb": 5}, "concat"),
    "128 px, unconditional": (128, {"ch": 3}, "unconditional"),
    "128 px, concat": (128, {"ch": 3, "classes": 6, "dim_emb": 7}, "concat"),
    "128 px, concat as long as the features": (128, {"ch": 2, "classes": 6, "dim_emb": 32}, "concat"),
    "64 px, unconditional": (64, {"ch": 3}, "unconditional"),
    "64 px, concat": (64, {"ch": 2, "classes": 2, "dim_emb": 128}, "concat"),
    "32 px, projection": (32, {"ch": 5, "classes": 11}, "projection"),
    "32 px, concat": (32, {"ch": 5, "classes": 2, "dim_emb": 3}, "concat"),
}


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("case", G_CASES)
@torch.no_grad()
def test_generators_agree_with_the_second_source(case: str, tmp_path: Path) -> None:
    side, sizes = G_CASES[case]
    arrays = generator_arrays(side, **sizes)
    G = generator_from_chainer(save(tmp_path / "g.npz", arrays))
    config = G.config
    assert (config.resolution, config.channels, config.latent_dim) == (side, sizes["ch"], sizes["dim_z"])
    assert (config.num_classes, config.latent, config.class_names) == (sizes["classes"], "normal", None)
    assert not G.training
    z = _noise(3, sizes["dim_z"])
    y = torch.tensor([2, 0, 1]) % sizes["classes"] if sizes["classes"] else None
    assert G(z, y).shape == (3, 3, side, side)
    assert relative_error(G(z, y), functional.generator(arrays, z, y).numpy()) <= TEST_OUTPUT
    expected = functional.generator(arrays, z, y, train=True).numpy()
    assert relative_error(G.train()(z, y), expected) <= TRAIN_OUTPUT


@pytest.mark.parametrize("case", D_CASES)
@torch.no_grad()
def test_discriminators_agree_with_the_second_source(case: str, tmp_path: Path) -> None:
    side, sizes, head = D_CASES[case]
    arrays = discriminator_arrays(side, **sizes)
    D = discriminator_from_chainer(save(tmp_path / "d.npz", arrays))
    config = D.config
    assert (config.resolution, config.channels, config.head) == (side, sizes["ch"], head)
    assert config.num_classes == sizes.get("classes", 0)
    assert not D.training
    x = _noise(3, 3, side, side)
    y = torch.tensor([1, 0, 1]) if config.num_classes else None
    expected = functional.discriminator(arrays, x, y).numpy()
    assert relative_error(D(x, y).score, expected) <= TEST_OUTPUT
    if y is not None:  # a label that is not looked at would pass above by luck only if rows did not matter
        assert not torch.allclose(D(x, 1 - y).score, D(x, y).score)


def test_a_thousand_classes_are_imagenets(tmp_path: Path) -> None:
    path = save(tmp_path / "g.npz", generator_arrays(32, ch=1, dim_z=2, classes=1000))
    config = generator_from_chainer(str(path)).config
    assert config.class_names is not None
    assert config.class_ids is not None
    assert (config.class_names[0], config.class_ids[0]) == ("tench", "n01440764")
    assert (config.class_names[207], config.class_ids[999]) == ("golden retriever", "n15075141")
    assert list(config.class_ids) == sorted(set(config.class_ids))  # the official order


def test_a_converted_generator_is_saved_and_read_like_any_other(tmp_path: Path) -> None:
    G = generator_from_chainer(OFFICIAL / "tiny_g64_c5.npz")
    G.save_pretrained(tmp_path / "model")
    read = Generator.from_pretrained(tmp_path / "model")
    assert read.config == G.config
    z, y = _noise(2, 16), torch.tensor([4, 1])
    assert torch.equal(read(z, y), G(z, y))


def test_parameters_can_be_trained_further() -> None:
    D = discriminator_from_chainer(OFFICIAL / "tiny_d32_c5.npz")
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in D.parameters())
    G = generator_from_chainer(OFFICIAL / "tiny_g32_c5.npz")
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in G.parameters())


def _g_arrays() -> dict[str, np.ndarray]:
    return generator_arrays(32, ch=2, dim_z=3, classes=4)


def _d_arrays() -> dict[str, np.ndarray]:
    return discriminator_arrays(64, ch=1, classes=4)


def _refusal(tmp_path: Path, arrays: dict[str, np.ndarray], *words: str, of: str = "generator") -> str:
    path = save(tmp_path / "refused.npz", arrays)
    read = generator_from_chainer if of == "generator" else discriminator_from_chainer
    return refused(lambda: read(path), "refused.npz: ", *words)


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    extra = {f"block2/c{i}/W": np.zeros(1, np.float32) for i in range(3, 12)}
    unknown = "unknown keys 'block2/c10/W', 'block2/c11/W', 'block2/c3/W'"
    assert "missing" not in _refusal(tmp_path, _g_arrays() | extra, unknown, "and 4 more")


def test_missing_keys_are_named(tmp_path: Path) -> None:
    arrays = _g_arrays()
    del arrays["block3/b2/avg_var"], arrays["c5/b"]
    _refusal(tmp_path, arrays, "missing keys 'block3/b2/avg_var', 'c5/b'")


@pytest.mark.parametrize("key", ["block4/c_sc/u", "l6/b", "block1/c2/W", "block3/c2/W", "block4/c1/W"])
def test_missing_keys_of_a_discriminator_are_named(tmp_path: Path, key: str) -> None:
    arrays = _d_arrays()
    del arrays[key]
    _refusal(tmp_path, arrays, repr(key), of="discriminator")


@pytest.mark.parametrize("key", ["l1/W", "c5/W"])
def test_a_missing_size_is_named(tmp_path: Path, key: str) -> None:
    arrays = _g_arrays()
    del arrays[key]
    _refusal(tmp_path, arrays, repr(key))


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("block2/c1/W", (2, 2, 3, 1)),
        ("l1/W", (32, 3, 1)),
        ("l1/b", (31,)),
        ("block3/b1/betas/W", (3, 2)),
        ("b5/N", (1,)),
        ("c5/W", (3, 0, 3, 3)),
        ("c5/W", (3, 5000, 3, 3)),
        ("c5/W", (3, 4096, 3, 3)),  # a network of 6 GB, refused before it is allocated
    ],
)
def test_wrong_shapes_are_refused(tmp_path: Path, key: str, shape: tuple[int, ...]) -> None:
    arrays = _g_arrays()
    arrays[key] = np.zeros(shape, arrays[key].dtype)
    message = _refusal(tmp_path, arrays)
    assert "allowed" in message
    assert repr(key) in message or "channels=" in message or "more do not fit" in message


def test_wrong_shapes_of_a_discriminator_are_refused(tmp_path: Path) -> None:
    arrays = _d_arrays()
    arrays["block5/c1/u"] = arrays["block5/c1/u"][0]
    _refusal(tmp_path, arrays, "'block5/c1/u' has shape (8,), (1, 8) is allowed", of="discriminator")


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_each_network_is_refused_as_the_other(tmp_path: Path, side: int) -> None:
    d = discriminator_arrays(side, ch=1, classes=2)
    _refusal(tmp_path, d, "no generator's snapshot")
    g = generator_arrays(side, ch=1, dim_z=2, classes=2)
    _refusal(tmp_path, g, "no discriminator's snapshot", of="discriminator")


def test_values_that_are_no_finite_numbers_are_refused(tmp_path: Path) -> None:
    arrays = _g_arrays()
    arrays["block2/c1/W"][0, 0, 0, 0] = np.nan
    _refusal(tmp_path, arrays, "'block2/c1/W' holds values that are not finite")
    arrays["block2/c1/W"] = np.full((2, 2, 3, 3), 1e60)  # too great for float32
    _refusal(tmp_path, arrays, "'block2/c1/W' holds values that are not finite")
    arrays["block2/c1/W"] = np.full((2, 2, 3, 3), "a")
    _refusal(tmp_path, arrays, "'block2/c1/W' is of type <U1")


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    _refusal(tmp_path, {}, "the file's keys are none")
    _refusal(tmp_path, {"weights": np.zeros(3)}, "'weights'")
    arrays = {f"updater/model:main/{key}": array for key, array in _g_arrays().items()}  # a whole trainer's snapshot
    _refusal(tmp_path, arrays, "updater/model:main")
    arrays = {key.replace("block4", "block9"): array for key, array in _g_arrays().items()}
    _refusal(tmp_path, arrays, "residual block 9")


def _npy(header: bytes) -> bytes:
    padded = header + b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + b"\0" * 64


@pytest.mark.parametrize(
    "damage", ["absent", "folder", "empty", "text", "cut", "array", "pickle", "lying header", "no header", "flipped"]
)
@pytest.mark.parametrize("read", [generator_from_chainer, discriminator_from_chainer])
def test_damaged_files_are_refused_on_one_line(tmp_path: Path, damage: str, read: object) -> None:
    path = save(tmp_path / "whole.npz", _g_arrays())
    whole, broken = path.read_bytes(), tmp_path / "broken.npz"
    member = io.BytesIO()
    if damage == "folder":
        broken.mkdir()
    elif damage == "array":
        np.save(member, np.zeros(3))
        broken.write_bytes(member.getvalue())
    elif damage == "pickle":
        save(broken, {"block4/c1/W": np.array([{"a": 1}], dtype=object)})
    elif damage in ("lying header", "no header"):
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,), }"
        with zipfile.ZipFile(member, "w") as archive:
            archive.writestr("l1/W.npy", _npy(header) if damage == "lying header" else b"nothing")
        broken.write_bytes(member.getvalue())
    elif damage == "flipped":
        middle = len(whole) // 2
        broken.write_bytes(
            whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 40]) + whole[middle + 40 :]
        )
    elif damage != "absent":
        broken.write_bytes({"empty": b"", "text": b"not a zip", "cut": whole[: len(whole) // 2]}[damage])
    refused(lambda: read(broken), "broken.npz: ")
