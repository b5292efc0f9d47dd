"""Refusing numbers that are not finite without waiting for each batch of them."""

import torch
from torch import Tensor

from train.errors import EvaluationError


class FiniteWatch:
    """Notes on the device whether numbers are finite; asking waits for it, and is therefore done once in a while."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, Tensor]] = []

    def note(self, numbers: Tensor, refusal: str) -> None:
        """Look at numbers of one device, the same one at each call.

        Args:
            refusal: what `check` raises if they are not finite.
        """
        self._noted.append((refusal, numbers.isfinite().all()))

    def check(self) -> None:
        """Forget what was noted.

        Raises:
            EvaluationError: with the refusal of the first numbers that were not finite.
        """
        noted, self._noted = self._noted, []
        finite = torch.stack([found for _, found in noted]).tolist() if noted else []
        for (refusal, _), is_finite in zip(noted, finite, strict=True):
            if not is_finite:
                raise EvaluationError(refusal)
