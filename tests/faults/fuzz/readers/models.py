"""Models and what they are read from: configurations, weights, snapshots, and the files beside them."""

import functools
from collections.abc import Sequence
from pathlib import Path

import torch

from sngan_cond import Discriminator, Generator, convert, describing, stored, validation
from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.hub import cards, weights
from sngan_cond.hub.files import ModelFiles, PretrainedError
from sngan_cond.loading import load_generator
from sngan_cond.networks import rebuilding
from tests.command_line import build, save_conditional
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.formats import mutate_safetensors, of_members, unzip, zip_again
from tests.faults.fuzz.mutate import mutate_bytes, mutate_json, mutate_text
from tests.faults.fuzz.readers.common import (
    CONFIG,
    NPY_TOKENS,
    TENSOR_TOKENS,
    fixed,
)
from tests.reference.synthetic import discriminator_arrays, generator_arrays, save


def _config(folder: Path, data: bytes) -> object:
    (folder / "config.json").write_bytes(data)
    return weights.read_config(folder / "config.json", "x")


def _model_file(name: str) -> object:
    """Return the seeds, and what reads a model whose file of that name they are, and all that is said of it."""

    def seeds(folder: Path) -> Sequence[bytes]:
        save_conditional(folder / "m")
        return [(folder / "m" / name).read_bytes()]

    def read(folder: Path, data: bytes) -> object:
        if not (folder / "m").exists():
            save_conditional(folder / "m")
        whole = (folder / "m" / name).read_bytes()
        try:
            (folder / "m" / name).write_bytes(data)
            loaded = load_generator(folder / "m")
            cards.check_metrics(loaded.metrics or {})
            described = [describing.contents(name, values) for values in (loaded.metrics, loaded.training)]
            return described, describing.card(loaded) if loaded.card else "", loaded.step
        finally:
            (folder / "m" / name).write_bytes(whole)

    return seeds, read


@functools.cache
def _shapes() -> dict[str, torch.Tensor]:
    return weights.shape_of(Generator, CONFIG).state_dict()


def _weights_seeds(folder: Path) -> Sequence[bytes]:
    build(4).save_pretrained(folder / "a")
    build(4).save_pretrained(folder / "b", half=True)
    return [(folder / name / "model.safetensors").read_bytes() for name in "ab"]


def _weights(folder: Path, data: bytes) -> object:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    weights.read_header(path)
    read = weights.read_weights(path, _shapes(), torch.float32)
    assert all(tensor.isfinite().all() for tensor in read.values())
    return read


def _discriminator_seeds(folder: Path) -> Sequence[bytes]:
    found = []
    for i, constraint in enumerate((ConstraintConfig(), ConstraintConfig(kind="none"))):
        D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=2))
        rebuilding.build_constraint(constraint).attach(D)
        D.constraint = constraint
        D.save_pretrained(folder / str(i))
        found.append((folder / str(i) / "discriminator.safetensors").read_bytes())
    return found


def _discriminator(folder: Path, data: bytes) -> object:
    (folder / "discriminator.safetensors").write_bytes(data)
    return Discriminator.from_pretrained(folder)


def _discriminator_config(folder: Path, data: bytes) -> object:
    values = stored.parse_json(data.decode("utf-8", "replace"), error=PretrainedError, name="x")
    training = {"config": {**values, "discriminator": values.get("discriminator")}}
    described = rebuilding._of_run(training)
    if not all(isinstance(part, dict) for part in described.values()) or len(described) < 2:
        raise PretrainedError("says nothing")
    DiscriminatorConfig.from_dict(described["discriminator"])
    return ConstraintConfig.from_dict(described["constraint"])


def _snapshot_seeds(folder: Path) -> Sequence[bytes]:
    arrays = [
        *(generator_arrays(32, ch=1, dim_z=2, classes=2), generator_arrays(64, ch=1, dim_z=2, classes=0)),
        *(discriminator_arrays(32, ch=1, classes=2), discriminator_arrays(32, ch=1, classes=2, dim_emb=3)),
    ]
    return [save(folder / f"{i}.npz", each).read_bytes() for i, each in enumerate(arrays)]


def _snapshot(folder: Path, data: bytes) -> object:
    (folder / "a.npz").write_bytes(data)
    try:
        return convert.generator_from_chainer(folder / "a.npz")
    except ValueError as error:
        if "and no 'l1/W'" not in str(error):
            raise
        return convert.discriminator_from_chainer(folder / "a.npz")


_fields = tuple(
    name.encode() for name in (*CONFIG.to_dict(), *DiscriminatorConfig().to_dict(), *ConstraintConfig().to_dict())
)

_metrics, _training, _readme = (_model_file(name) for name in ("metrics.json", "training.json", "README.md"))

READERS = (
    Reader(
        "config.json",
        fixed(CONFIG.to_json(), GeneratorConfig(num_classes=0, architecture="cnn", resolution=32).to_json()),
        _config,
        (PretrainedError,),
        (weights.read_config, GeneratorConfig, validation.check, validation.StrictConfig),
        mutate_json,
        (*_fields, b"_class_name", b"model_type", b"resnet", b"dcgan", b"uniform", b"none"),
        share=2,
    ),
    Reader(
        "metrics.json", *_metrics, (ValueError,), (cards.check_metrics, describing.contents), mutate_json, share=0.3
    ),
    Reader("training.json", *_training, (ValueError,), (describing, ModelFiles), mutate_json, share=0.3),
    Reader("README.md", *_readme, (ValueError,), (describing.card, describing.plain), mutate_text, share=0.3),
    Reader(
        "weights",
        _weights_seeds,
        _weights,
        (PretrainedError,),
        (weights.read_weights, weights.read_header, weights._compare, weights._check_values, weights._some),
        mutate_safetensors,
        TENSOR_TOKENS,
    ),
    Reader(
        "discriminator",
        _discriminator_seeds,
        _discriminator,
        (PretrainedError,),
        (rebuilding.rebuild, rebuilding._of_run, DiscriminatorConfig),
        mutate_safetensors,
        (*TENSOR_TOKENS, *_fields),
        share=0.3,
    ),
    Reader(
        "discriminator-config",
        fixed(rebuilding.config_text(DiscriminatorConfig(), ConstraintConfig())),
        _discriminator_config,
        (ValueError,),
        (DiscriminatorConfig, ConstraintConfig, rebuilding._of_run),
        mutate_json,
        (*_fields, b"projection", b"concat", b"spectral", b"cnn", b"update"),
    ),
    Reader(
        "snapshot",
        _snapshot_seeds,
        _snapshot,
        (ValueError,),
        (convert,),
        of_members(unzip, zip_again, mutate_bytes),
        (*NPY_TOKENS, b"block2/c1/W", b"l_y/W", b"l1/W", b"u", b".npy", b"/"),
        share=0.5,
    ),
)
