"""`imagefolder:PATH`: a folder, zip or tar with a sub-folder of images for each class, or with a file of labels."""

import hashlib
import os
from pathlib import Path

import numpy as np

from train.data.image import size_of
from train.data.sources.archives import open_files
from train.data.sources.base import Item, Source, SourceRequest, printable
from train.data.sources.classes import class_names, in_label_order
from train.data.sources.layout import entered, grouped


def imagefolder(request: SourceRequest) -> Source:
    """List the images of PATH, or of its folder SPLIT; unlabelled, every image in it, in no class.

    Classes are the sub-folders, or what a file says (`labels_by_file`), in the order of `in_label_order` (which for
    WordNet ids is ImageNet's); images are sorted within them and may lie deeper. Left out is what systems leave about,
    and what is no image by its suffix or first bytes. Images in a compressed tar keep its order, for it is read from
    its start to its end.

    Raises:
        DataError: if PATH is missing or damaged, it is not clear what the classes are, or a class has no image.
    """
    top = open_files(Path(request.argument).expanduser())
    files, remarks = entered(top, request.split, pass_through=not request.unlabelled)
    groups, by_file, more = grouped(top, files, request)
    classes = in_label_order(groups)
    names = [name for label in classes for name in sorted(groups[label])]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(groups[label]) for label in classes])
    if (place := files.place) is not None:
        by_place = sorted(range(len(names)), key=lambda i: place(files.prefix + names[i]))
        names, labels = [names[i] for i in by_place], labels[by_place]

    def items(indices: np.ndarray) -> list[Item]:
        chosen = [names[i] for i in indices.tolist()]
        return [
            Item(printable(name), files.reader(name, request.decode), files.reader(name, size_of)) for name in chosen
        ]

    digest = hashlib.sha256(os.fsencode("\0".join(names)) + labels.tobytes())
    if by_file:  # else the classes are in the paths
        digest.update(os.fsencode("\0".join(classes)))
    shown, ids = ([], None) if request.unlabelled else class_names(classes)
    return Source(shown, ids, labels, items, digest.hexdigest(), min_side_px=None, remarks=(*remarks, *more))
