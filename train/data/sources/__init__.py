"""Where images come from: a module for each kind of source, and the function that opens any of them."""

import os.path
from collections.abc import Callable

from sngan_cond.validation import nearest
from train.data.sources.arrays import arrays
from train.data.sources.base import Source, SourceRequest
from train.data.sources.drawn import shapes
from train.data.sources.folder import imagefolder
from train.data.sources.hub import hub_dataset
from train.data.sources.torchvision_sets import torchvision_set
from train.errors import DataError

# What may follow the name in `--source`, and what opens it.
KINDS: dict[str, tuple[str, Callable[[SourceRequest], Source]]] = {
    "imagefolder": (":PATH", imagefolder),
    "torchvision": (":NAME[:ROOT]", torchvision_set),
    "hf": (":REPO[:CONFIG]", hub_dataset),
    "arrays": (":DIR", arrays),
    "shapes": ("[:CLASSES]", shapes),
}
FORMS = ", ".join(kind + argument for kind, (argument, _) in KINDS.items())


def open_source(request: SourceRequest) -> Source:
    """List the images of a source; none is decoded yet.

    Raises:
        DataError: if the kind is unknown or the source cannot be opened.
    """
    kind = request.source.partition(":")[0]
    if kind not in KINDS:
        is_there = os.path.exists(request.source)  # noqa: PTH110 - Path's raises where a name is too long
        near = f"imagefolder:{request.source}" if is_there else nearest(kind, KINDS)
        hint = f"; did you mean {near}?" if near else ""
        raise DataError(f"--source is {request.source!r}; allowed are {FORMS}{hint}")
    argument, opened = KINDS[kind]
    if not request.argument and not argument.startswith("["):
        raise DataError(f"--source is {request.source!r}; allowed is {kind}{argument}")
    if request.labels is not None and kind != "imagefolder":
        raise DataError(f"--labels is {request.labels!r}; allowed for an imagefolder only")
    return opened(request)
