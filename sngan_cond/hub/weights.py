"""Reading `config.json` and `model.safetensors`, which may come from anybody: each is checked before it is used."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.files import PretrainedError
from sngan_cond.stored import read_json
from sngan_cond.validation import nearest

_FOREIGN = {
    "_class_name": "diffusers",
    "_diffusers_version": "diffusers",
    "model_type": "transformers",
    "transformers_version": "transformers",
    "architectures": "transformers",
    "pretrained_cfg": "timm",
}
_DTYPES = {"F32": torch.float32, "I64": torch.int64}


def read_config(path: Path, source: str) -> GeneratorConfig:
    """Read a generator's configuration: every field of `GeneratorConfig` and no other.

    Args:
        path: of a JSON file.
        source: what errors about its content begin with.
    Raises:
        PretrainedError: if it cannot be read, is another library's, or a field is missing, unknown or not allowed.
    """
    values: dict[str, Any] = read_json(path, error=PretrainedError)
    known = {field.name for field in fields(GeneratorConfig)}
    library = next((_FOREIGN[key] for key in values if key in _FOREIGN and key not in known), None)
    if library or not known & values.keys():
        raise PretrainedError(
            f"{source}: the config is {f'one of {library}' if library else 'of another library'}, not of sngan-cond: "
            "only models saved by sngan-cond (or converted by `sngan-cond convert`) can be loaded"
        )
    try:
        return GeneratorConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        text = str(error)
        text = text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
        raise PretrainedError(f"{source}: {text}") from error


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read weights whose names, shapes and types are known; these are compared before any weight is read.

    Args:
        path: a safetensors file.
        expected: name to tensor of the right shape and dtype; its values are not used, so it may be on "meta".
    Returns:
        Name to tensor on the CPU.
    Raises:
        PretrainedError: if the file is damaged, or a weight is missing, unknown, or of another shape or type.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
            dtypes = {name: part.get_dtype() for name, part in found.items()}
            _compare(path, expected, shapes, dtypes)
            # Copies: safetensors maps the file, and a tensor's alignment in memory is that of its bytes in the file.
            # Alignment decides which kernels run, and kernels round differently. In memory of their own, the same
            # weights give the same images whichever file they come from.
            return {name: file.get_tensor(name).clone() for name in expected}
    except (OSError, SafetensorError) as error:
        raise PretrainedError(f"{path}: damaged or not safetensors ({error}); download or save it again") from error


def _compare(
    path: Path, expected: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]
) -> None:
    missing = [name for name in expected if name not in shapes]
    unknown = [name for name in shapes if name not in expected]
    if missing or unknown:
        parts = [f"misses {_some(missing)}"] if missing else []
        if unknown:
            near = nearest(unknown[0], missing, cutoff=0.8)
            parts.append(f"has the unknown {_some(unknown)}{f' (did you mean {near}?)' if near else ''}")
        raise PretrainedError(
            f"{path}: {' and '.join(parts)}: the weights are of another network than config.json says"
        )
    for name, tensor in expected.items():
        if shapes[name] != tuple(tensor.shape):
            wanted = sum(tensor.numel() for tensor in expected.values())
            held = sum(math.prod(shape) for shape in shapes.values())
            raise PretrainedError(
                f"{path}: weight {name} has shape {shapes[name]}, config.json asks for {tuple(tensor.shape)} "
                f"({wanted:,} numbers in all, the file holds {held:,})"
            )
        if _DTYPES.get(dtypes[name]) != tensor.dtype:
            allowed = str(tensor.dtype).removeprefix("torch.")
            raise PretrainedError(f"{path}: weight {name} is of type {dtypes[name]}, {allowed} is allowed")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"weight{'s' * (len(names) > 1)} {', '.join(name[:80] for name in names[:3])}{more}"
