"""`from_pretrained` of both networks."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from sngan_cond.hub.download import locate
from sngan_cond.hub.files import ModelFiles, PretrainedError
from sngan_cond.validation import one_line, short_repr

_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Loadable:
    """Loading for a network; `provenance` says where a loaded one came from."""

    provenance: ModelFiles | None = None
    _needed_files: ClassVar[tuple[str, ...]]
    _optional_files: ClassVar[tuple[str, ...]] = ()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self._first_parameter.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return self._first_parameter.dtype

    @property
    def _first_parameter(self) -> Tensor:
        assert isinstance(self, nn.Module)
        return next(self.parameters())

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        torch_dtype: torch.dtype | None = None,
        device: torch.device | str | int | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a network in inference mode, from one commit of a Hub repo or from a folder.

        Args:
            pretrained_model_name_or_path: "user/name", "user/name@revision", a folder, a training run's folder, which
                means its newest whole checkpoint, or "bundled" for the model inside this package.
            revision: branch, tag or full commit hash of a repo; None takes "main".
            torch_dtype: type that the weights are cast to; None takes float32, whatever the file holds.
            device: where the network goes, an integer to the GPU of that number; None is the CPU.
            force_download: download from a repo what the cache has already.
            token: for the Hub; None takes the login's, or HF_TOKEN.
            cache_dir: of the Hub's client; None takes its own.
            local_files_only: do not use the network.
        Returns:
            The network in eval mode, its `provenance` set.
        Raises:
            PretrainedError: a ValueError that says what is missing, unknown, damaged or refused, and what to do.
        """
        _check_place(torch_dtype, device)
        files = locate(
            pretrained_model_name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
            needed=cls._needed_files,
            extras=cls._optional_files,
        )
        return cls.from_files(files, torch_dtype=torch_dtype, device=device)

    @classmethod
    def from_files(
        cls,
        files: ModelFiles,
        *,
        torch_dtype: torch.dtype | None = None,
        device: torch.device | str | int | None = None,
    ) -> Self:
        """Load a network whose files `locate` found, in eval mode.

        Args:
            torch_dtype, device: as for `from_pretrained`.
        Raises:
            PretrainedError: if a file is damaged, or its weights are not those that its configuration asks for.
        """
        _check_place(torch_dtype, device)
        network = cls._read(files, torch_dtype or torch.float32)
        assert isinstance(network, nn.Module)
        network.provenance = files
        return network.eval().to("cpu" if device is None else device)

    @classmethod
    @abstractmethod
    def _read(cls, files: ModelFiles, dtype: torch.dtype) -> Self:
        """Build the network on the CPU and read its weights."""


def _check_place(dtype: object, device: torch.device | str | int | None) -> None:
    if dtype is not None and dtype not in _DTYPES:
        raise PretrainedError(f"torch_dtype={short_repr(dtype)}: {', '.join(map(str, _DTYPES))} or None is allowed")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # what a backend raises where it is not there
        raise PretrainedError(f"device={str(device)!r}: cannot be used here ({one_line(error, 100)})") from error
