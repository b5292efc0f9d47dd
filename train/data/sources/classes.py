"""Classes by name: their order, WordNet's names, and what a user should know about them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from train.data.sources.base import printable

_NUMBER = re.compile(r"[0-9]+(\.0+)?")  # 2.0 is what a spreadsheet makes of 2


def in_label_order(names: Iterable[str]) -> list[str]:
    """Sort class names: numbers, if all are, by their values (2 before 10), else as text, ImageNet's order."""
    names = sorted(names)
    return sorted(names, key=lambda name: int(name.partition(".")[0])) if _are_numbers(names) else names


def _are_numbers(names: Sequence[str]) -> bool:
    return all(map(_NUMBER.fullmatch, names))


def class_names(names: list[str]) -> tuple[list[str], list[str] | None]:
    """Return class names and WordNet ids; WordNet ids of ImageNet, if all are, become the names of their classes."""
    from sngan_cond.classes import imagenet_classes  # here, for worker processes import this module too

    known = dict(zip(*reversed(imagenet_classes()), strict=True))
    if all(name in known for name in names):
        return [known[name] for name in names], names
    return [printable(name) for name in names], None


def class_remarks(names: list[str]) -> list[str]:
    """Say which label numbered classes have, and which classes only look like two.

    Args:
        names: in label order.
    """
    remarks = []
    if _are_numbers(names):
        other = [(label, name) for label, name in enumerate(names) if name != str(label)]
        label, name = other[0] if other else (len(names) - 1, names[-1])
        what = "classes are numbers but not their labels" if other else "classes are named by their labels"
        remarks.append(f'{what}: label {label} is class "{name}"')
    alike = defaultdict(list)
    for name in names:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    if pairs := [same for same in alike.values() if len(same) > 1]:
        which = ", ".join(map(repr, map(printable, pairs[0])))
        more = f", and {len(pairs) - 1} times more" if pairs[1:] else ""
        remarks.append(f"classes differ in nothing but letter case or the form of accents: {which}{more}")
    return remarks
