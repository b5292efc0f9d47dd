"""Weights written and read, and `config.json` read; what may come from anybody is checked before it is used."""

import logging
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from stat import S_IMODE
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.files import PretrainedError
from sngan_cond.stored import MAX_TEXT_BYTES, check_regular, read_json
from sngan_cond.validation import nearest, one_line

_FOREIGN = {
    "_class_name": "diffusers",
    "_diffusers_version": "diffusers",
    "model_type": "transformers",
    "transformers_version": "transformers",
    "architectures": "transformers",
    "pretrained_cfg": "timm",
}
_FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_LARGEST = math.sqrt(torch.finfo(torch.float32).max)  # of a weight; flipped bits of damaged files exceed it
_DTYPES = {**_FLOATS, "I64": torch.int64}

_TEXT = "sngan_cond"  # key of a file's metadata

logger = logging.getLogger(__name__)


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


def read_weights(path: Path, expected: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Read weights whose names and shapes are known; these are compared before any weight is read.

    Args:
        path: a safetensors file.
        expected: name to tensor of the right shape, and an integer or any floating type; its values are not used, so it
            may be on "meta".
        dtype: that floating-point weights are cast to, whichever of the four usual types they have in the file.
    Returns:
        Name to tensor on the CPU.
    Raises:
        PretrainedError: if the file is damaged, or a weight is missing, unknown, of another shape or kind, not finite,
            beyond what float32 can square, or a negative variance.
    """
    try:
        check_regular(path)
        with safe_open(str(path), framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
            dtypes = {name: part.get_dtype() for name, part in found.items()}
            _compare(path, expected, shapes, dtypes)
            # Copies: safetensors maps the file, and a tensor's alignment in memory is that of its bytes in the file.
            # Alignment decides which kernels run, and kernels round differently. In memory of their own, the same
            # weights give the same images whichever file they come from.
            weights = {
                name: file.get_tensor(name).to(dtype if kind in _FLOATS else torch.int64, copy=True)
                for name, kind in ((name, dtypes[name]) for name in expected)
            }
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    if cast := sorted({kind for kind in dtypes.values() if kind != "F32" and _FLOATS.get(kind, dtype) != dtype}):
        logger.info("%s: weights of type %s, cast to %s", path, " and ".join(cast), _name_of(dtype))
    for name, weight in weights.items():
        _check_values(path, name, weight)
    return weights


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
        raise PretrainedError(f"{path}: {' and '.join(parts)}: the weights are of another network than its config says")
    for name, tensor in expected.items():
        if shapes[name] != tuple(tensor.shape):
            wanted = sum(tensor.numel() for tensor in expected.values())
            held = sum(math.prod(shape) for shape in shapes.values())
            raise PretrainedError(
                f"{path}: weight {name} has shape {shapes[name]}, the config asks for {tuple(tensor.shape)} "
                f"({wanted:,} numbers in all, the file holds {held:,})"
            )
        found = _DTYPES.get(dtypes[name])
        if found is None or found.is_floating_point != tensor.is_floating_point():
            allowed = ", ".join(_FLOATS) if tensor.is_floating_point() else "I64"
            raise PretrainedError(f"{path}: weight {name} is of type {dtypes[name]}, {allowed} is allowed")


def _damaged(path: Path, error: Exception) -> PretrainedError:
    reason = one_line(error, 200, more="…")
    return PretrainedError(f"{path}: damaged or not safetensors ({reason}); download or save it again")


def _check_values(path: Path, name: str, weight: Tensor) -> None:
    if not weight.is_floating_point() or not weight.numel():
        return
    low, high = (bound.item() for bound in weight.aminmax())  # NaN is both then; five times as fast as `isfinite`
    if not math.isfinite(low) or not math.isfinite(high):
        count = int((~weight.isfinite()).sum())
        raise PretrainedError(
            f"{path}: weight {name} holds NaN or infinity in {_name_of(weight.dtype)}: {count:,} of its "
            f"{weight.numel():,} values are not finite"
        )
    if max(-low, high) > _LARGEST:
        raise PretrainedError(
            f"{path}: weight {name} holds {max(low, high, key=abs):.4g}: beyond {_LARGEST:.2g} the product of two is "
            "infinite in float32, and no network has such weights"
        )
    if name.endswith("running_var") and low < 0:
        raise PretrainedError(f"{path}: weight {name} holds {low:.4g}: no variance is below 0")


def read_header(path: Path, key: str = _TEXT) -> tuple[str | None, int]:
    """Return a text that a file carries, None if it does not, and how many numbers the file holds.

    Args:
        key: of the text; that of `save_weights` unless another is given.
    Raises:
        PretrainedError: if the file is damaged, or the text too long.
    """
    try:
        check_regular(path)
        with safe_open(str(path), framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - it is no mapping
            text = (file.metadata() or {}).get(key)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    if text is not None and len(text) > MAX_TEXT_BYTES:
        raise PretrainedError(
            f"{path}: describes itself in {len(text):,} characters, at most {MAX_TEXT_BYTES:,} are read"
        )
    return text, sum(map(math.prod, shapes))


def header(text: str) -> dict[str, str]:
    """Return the metadata of a safetensors file that carries a text.

    They are these alone: of several, safetensors would write another order each time, and equal files would differ.
    """
    return {_TEXT: text}


def save_weights(network: nn.Module, path: Path, *, half: bool = False, text: str | None = None) -> None:
    """Write a network's weights in float32, or its parameters in float16.

    Buffers stay float32: running variances may lie beyond what float16 holds.

    Args:
        text: that the file carries, for `read_header`.
    Raises:
        PretrainedError: if a weight is too large for float16.
    """
    parameters = {name for name, _ in network.named_parameters()}
    plain = {}
    for name, tensor in network.state_dict().items():
        kept = tensor.detach().cpu()
        if kept.is_floating_point():
            kept = kept.to(torch.float16 if half and name in parameters else torch.float32)
            if half:
                _check_values(path, name, kept)
        # safetensors refuses tensors that share memory, so each is a copy.
        plain[name] = kept.contiguous().clone()
    save_tensors(plain, path, metadata={"format": "pt"} if text is None else header(text))


def save_tensors(tensors: dict[str, Tensor], path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file with the mode of every other new file, or of the file that it replaces.

    The library makes it its owner's alone (0600), and neither a web server nor a colleague could open a model.

    Args:
        tensors: contiguous, on the CPU.
        path: what is there is overwritten.
    """
    path.touch()  # with the mode that the umask gives, which cannot be asked for without being set
    mode = S_IMODE(path.stat().st_mode)
    save_file(tensors, path, metadata=metadata)
    path.chmod(mode)


def shape_of(kind: Any, config: Any) -> Any:
    """Build a network of shapes without values.

    Nothing is allocated for a config that the weights do not fit, and no time is spent on an initialisation that the
    weights overwrite; on the meta device, a random one would even import PyTorch's compiler, which takes seconds.
    """
    with torch.device("meta"), _NoInitialisation():
        return kind(config)


class _NoInitialisation(TorchFunctionMode):
    """Leaves random initialisation out."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"weight{'s' * (len(names) > 1)} {', '.join(one_line(name, 80) for name in names[:3])}{more}"
