"""Where images come from: a module for each kind of source, and the function that opens any of them."""

from sngan_cond.validation import nearest
from train.data.sources.arrays import arrays
from train.data.sources.base import Source
from train.data.sources.drawn import shapes
from train.data.sources.folder import imagefolder
from train.data.sources.hub import hub_dataset
from train.data.sources.torchvision_sets import torchvision_set
from train.errors import DataError

KINDS = ("imagefolder:PATH", "torchvision:NAME[:ROOT]", "hf:REPO[:CONFIG]", "arrays:DIR", "shapes[:CLASSES]")


def open_source(
    source: str,
    *,
    resolution: int,
    split: str | None = None,
    unlabelled: bool = False,
    limit: int | None = None,
    seed: int = 0,
    download: bool = False,
    label_column: str | None = None,
) -> Source:
    """List the images of a source; none is decoded yet.

    Args:
        source: in one of the forms of KINDS.
        resolution: side in pixels at which shapes are drawn.
        split: which part; each source has its own.
        unlabelled: leave classes out.
        limit: number of shapes to draw; other sources are thinned later, by `build.select`.
        download: let torchvision fetch what is missing.
        label_column: of an hf source.
    Raises:
        DataError: if the kind is unknown or the source cannot be opened.
    """
    kind, colon, argument = source.partition(":")
    if kind == "shapes":
        return shapes(argument, split=split, unlabelled=unlabelled, resolution=resolution, limit=limit, seed=seed)
    names = [allowed.partition(":")[0].partition("[")[0] for allowed in KINDS]
    if kind not in names:
        near = nearest(kind, names)
        hint = f"; did you mean {near}?" if near else ""
        raise DataError(f"--source is {source!r}; allowed are {', '.join(KINDS)}{hint}")
    if not colon or not argument:
        raise DataError(f"--source is {source!r}; allowed is {KINDS[names.index(kind)]}")
    if kind == "imagefolder":
        return imagefolder(argument, split=split, unlabelled=unlabelled)
    if kind == "arrays":
        return arrays(argument, split=split, unlabelled=unlabelled)
    if kind == "torchvision":
        return torchvision_set(argument, split=split, unlabelled=unlabelled, download=download)
    return hub_dataset(argument, split=split, unlabelled=unlabelled, label_column=label_column)
