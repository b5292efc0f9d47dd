"""Blends of classes: as class weights for the conditional batch norm, and as text."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sngan_cond.classes import Class, class_text, resolve_class
from sngan_cond.config import GeneratorConfig
from sngan_cond.validation import NUMBER, float32_text, short_repr

_PART = rf"(\d{{1,18}})\*({NUMBER})"
_BLEND = re.compile(rf"{_PART}(?:\+{_PART})*", re.ASCII)


def class_weights(config: GeneratorConfig, weights: Mapping[Any, float]) -> Tensor:
    """Normalise the weights of a mixture of classes for the conditional batch norm.

    Args:
        config: of a generator with classes.
        weights: class, as `resolve_class` takes it, to weight, each finite and >= 0, their sum above 0 and within
            float32.
    Returns:
        (K,) float32 that sums to 1.
    Raises:
        ValueError: if a class or a weight is not allowed, or a class stands twice.
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights={short_repr(weights)}: a dictionary of classes and weights is allowed")
    row, found = torch.zeros(config.num_classes, dtype=torch.float64, device="cpu"), set[int]()
    for given, weight in weights.items():
        label = resolve_class(config, given)
        if not _is_weight(weight):
            raise ValueError(
                f"weight {short_repr(weight)} of class {short_repr(given)}: a finite number from 0 is allowed"
            )
        if label in found:
            raise ValueError(f"weights={short_repr(weights)}: class {label} is there twice; one weight each is allowed")
        found.add(label)
        row[label] = float(weight)
    row = row.float()  # which rounds the smallest to 0 and the largest to infinity
    total = row.sum()
    if not 0 < total < math.inf:
        raise ValueError(
            f"weights={short_repr(weights)}: at least one above 0 is needed, and a sum that is finite in float32"
        )
    return row / total


def _is_weight(value: Any) -> bool:
    try:
        return math.isfinite(value) and value >= 0
    except (TypeError, ValueError, OverflowError, RuntimeError):  # texts, arrays, huge integers and larger tensors
        return False


def class_blend(config: GeneratorConfig, given: Class) -> dict[int, float]:
    """Find the classes that a text or an integer means, and how much of each.

    Args:
        given: a class, as `resolve_class` takes it, or a blend: label indices times weights, as in "8*0.7+2*0.3",
            whatever the classes' names are.
    Returns:
        Label to weight, each above 0 in float32; one for a class, at least one for a blend.
    Raises:
        ValueError: if this means no class, several, or no blend.
    """
    if not isinstance(given, str) or "*" not in given:
        return {resolve_class(config, given): 1.0}
    if _BLEND.fullmatch(given) is None:
        try:
            return {resolve_class(config, given): 1.0}  # a name may hold a star
        except ValueError as error:
            blend = "a class, or a blend (label indices times weights) such as '0*0.7+1*0.3'"
            raise ValueError(f"class {short_repr(given)}: {blend}, is allowed") from error
    weights = dict[int, float]()
    for index, weight in re.findall(_PART, given, re.ASCII):
        if int(index) in weights:
            raise ValueError(f"class {short_repr(given)}: class {index} is there twice; one weight each is allowed")
        weights[int(index)] = float(weight)
    class_weights(config, weights)  # refuses what is out of range
    return {label: weight for label, weight in weights.items() if float32_text(weight) != "0"}


def class_row(config: GeneratorConfig, given: Class) -> Tensor:
    """Return the class weights, (K,) float32, of a class or a blend; arguments and errors as in `class_blend`."""
    return class_weights(config, class_blend(config, given))


def blend_text(config: GeneratorConfig, weights: Mapping[int, float]) -> str:
    """Return what `class_blend` reads as these weights: of one class what `class_text` returns, else a blend.

    Args:
        weights: label to weight, at least one above 0; those that are 0 in float32 are left out.
    """
    parts = {label: text for label, weight in weights.items() if (text := float32_text(weight)) != "0"}
    if len(parts) == 1:
        return class_text(config, *parts)
    return "+".join(f"{label}*{text}" for label, text in parts.items())
