"""What the `--out` of a command means: a grid, an animation, an array, or a folder of single images."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sngan_cond.atomic import atomic_folder, remove_drafts
from sngan_cond.images import check_grid, endings, save_animation, save_arrays, save_image, to_grid

_ARRAYS = (".npy", ".npz")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where images go, and as what.

    Args:
        path: its ending decides; a folder has none, or exists.
        moves: whether the images are the steps of a path, so that they can be an animation.
        columns: of a grid; None leaves them to the command.
        single: format of each file of a folder; None is png.
    Raises:
        ValueError: if these do not fit together, naming the option, its value and what is allowed.
    """

    path: Path
    moves: bool = False
    columns: int | None = None
    single: str | None = None

    def __post_init__(self) -> None:
        files, is_folder = [*self._grids, *self._animations, *_ARRAYS], self.path.is_dir()
        if (self.path.suffix and self.ending not in files and not is_folder) or str(self.path) == "-":
            raise ValueError(f"--out {self.path}: a file ending in {', '.join(files)}, or a folder, is allowed")
        if self.path.name.lower() in files and not is_folder:
            raise ValueError(f"--out {self.path}: is an ending alone; a name before it is allowed")
        if is_folder and self.ending in files:
            raise ValueError(f"--out {self.path}: is a folder, and its ending is that of a file")
        if self.columns is not None and self.ending not in self._grids:
            raise ValueError(
                f"--columns {self.columns}: only for a grid, of which --out is a file in {_or(self._grids)}"
            )
        if self.single is not None and self.ending in files:
            raise ValueError(f"--format {self.single}: only for a folder of single files; --out {self.path} is a file")
        if self.single is not None and f".{self.single}" not in endings():
            raise ValueError(f"--format {self.single}: this Pillow writes {_or(endings())}")

    @property
    def ending(self) -> str:
        """Of the path, in small letters."""
        return self.path.suffix.lower()

    def check(self, count: int, *, side_px: int, columns: int) -> None:
        """Refuse a grid that is too large for its format, before its images are generated."""
        if self.ending in self._grids:
            check_grid(count, side_px=side_px, columns=self.columns or columns, ending=self.ending)

    def write(
        self,
        batches: Iterable[Tensor],
        *,
        count: int,
        side_px: int,
        columns: int,
        y: Tensor | None,
        names: Iterable[str],
    ) -> None:
        """Write images, whole or not at all; into a folder or an array as they come.

        Args:
            batches: (n, 3, R, R) uint8 each, `count` images in all.
            side_px: R.
            columns: of a grid, unless the user said how many.
            y: what the generator was given beside the latents.
            names: of the files in a folder, without their ending.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_drafts(self.path.parent, self.path.name)
        if self.ending in self._grids:
            save_image(to_grid(torch.cat(list(batches)), columns=self.columns or columns), self.path)
        elif self.ending in self._animations:
            save_animation(torch.cat(list(batches)), self.path)
        elif self.ending in _ARRAYS:
            save_arrays(batches, self.path, count=count, side_px=side_px, y=y)
        else:
            with atomic_folder(self.path) as draft:
                for image, name in zip((image for batch in batches for image in batch), names, strict=True):
                    save_image(image, draft / f"{name}.{self.single or 'png'}")

    @property
    def _animations(self) -> list[str]:
        return endings(moving=True) if self.moves else []

    @property
    def _grids(self) -> list[str]:
        return [ending for ending in endings() if ending not in self._animations]


def _or(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
