"""`save_pretrained`, `from_pretrained` and `push_to_hub`, strict where huggingface_hub's mixin is lenient.

The mixin would ignore unknown arguments, drop unknown fields of a config and fill in missing ones, and accept a folder
half written; here each of these is an error or cannot happen.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from huggingface_hub import CommitInfo, ModelCard, PyTorchModelHubMixin
from torch import nn

from sngan_cond.atomic import atomic_folder
from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.cards import plain_card
from sngan_cond.hub.files import (
    CARD_FILE,
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    GENERATOR_FILES,
    METRICS_FILE,
    MODEL_FILES,
    SAMPLES_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    ModelFiles,
    PretrainedError,
    folder_to_write,
    parse_repo,
)
from sngan_cond.hub.loadable import Loadable
from sngan_cond.hub.upload import push_folder
from sngan_cond.hub.weights import read_config, read_weights, save_weights, shape_of
from sngan_cond.stored import parse_json
from sngan_cond.validation import short_repr


class WritesWeights(Protocol):
    """A discriminator, as far as a model folder needs one."""

    def write(self, path: Path, *, half: bool) -> None:
        """Write its weights and what they are read back by, as `Discriminator.write` does."""


class PretrainedMixin(Loadable, PyTorchModelHubMixin):  # type: ignore[misc]  # the mixin's would let anything pass
    """Saving and loading for a generator built from a `config`."""

    config: GeneratorConfig
    _needed_files = GENERATOR_FILES

    @classmethod
    def _read(cls, files: ModelFiles, dtype: torch.dtype) -> Self:
        network = shape_of(cls, read_config(files.folder / CONFIG_FILE, f"{files.source}: {CONFIG_FILE}"))
        weights = read_weights(files.folder / WEIGHTS_FILE, network.state_dict(), dtype)
        network.load_state_dict(weights, strict=True, assign=True)
        return network  # type: ignore[no-any-return]

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        *,
        half: bool = False,
        discriminator: WritesWeights | None = None,
        metrics: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        samples: str | Path | None = None,
        repo_id: str | None = None,
    ) -> None:
        """Write a model folder: config, weights, card, and what else is given.

        A new folder appears whole or not at all. In an existing one each file is replaced whole, and a model file that
        is not written this time is removed, since it describes other weights.

        Args:
            save_directory: the folder; created if missing.
            half: write weights in float16, half as large; running statistics stay float32.
            discriminator: written as `discriminator.safetensors`, which `Discriminator.from_pretrained` reads.
            metrics: content of `metrics.json`.
            training: content of `training.json`.
            samples: a PNG, copied as `samples.png`, which the card shows.
            repo_id: name for the card, which then shows the samples by their address there; None takes the folder's.
        Raises:
            PretrainedError: if the weights are not a plain generator's, or a file cannot be read or written.
        """
        target = folder_to_write(save_directory)
        if samples is not None and not (isinstance(samples, str | os.PathLike) and Path(samples).is_file()):
            raise PretrainedError(f"samples={short_repr(str(samples))}: no such file; a PNG is allowed")
        if discriminator is not None and not hasattr(discriminator, "write"):
            raise PretrainedError(f"discriminator={short_repr(discriminator)}: a Discriminator or None is allowed")
        try:
            with atomic_folder(target) as draft:
                for name, values in ((METRICS_FILE, metrics), (TRAINING_FILE, training)):
                    if values is not None:
                        (draft / name).write_text(_json(values, name))
                if samples is not None:
                    shutil.copyfile(samples, draft / SAMPLES_FILE)
                if discriminator is not None:
                    discriminator.write(draft / DISCRIMINATOR_FILE, half=half)
                self._write(draft, half=half)
                facts = {"metrics": metrics, "training": training, "samples": samples is not None}
                card = self.generate_model_card(name=repo_id or target.resolve().name, **facts)
                card.save(draft / CARD_FILE)
                written = {path.name for path in draft.iterdir()}
            for name in MODEL_FILES:
                if name not in written:
                    (target / name).unlink(missing_ok=True)
        except OSError as error:
            raise PretrainedError(f"{target}: cannot be written ({error.strerror or error})") from error

    def _write(self, folder: Path, *, half: bool) -> None:
        assert isinstance(self, nn.Module)
        plain: Any = shape_of(type(self), self.config)
        if plain.state_dict().keys() != self.state_dict().keys():
            raise PretrainedError(
                "the generator carries a constraint or other additions: fold or remove them to save it"
            )
        (folder / CONFIG_FILE).write_text(self.config.to_json())
        save_weights(self, folder / WEIGHTS_FILE, half=half)

    def generate_model_card(self, *_: Any, **facts: Any) -> ModelCard:
        """Return the plain card; arguments are those of `sngan_cond.hub.cards.plain_card`."""
        assert isinstance(self, nn.Module)
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return ModelCard(plain_card(self.config, parameters=parameters, **{"name": "model", **facts}))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload generator",
        branch: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        **files: Any,
    ) -> CommitInfo:
        """Save the generator and push it to the Hub as one commit.

        Args:
            repo_id: "user/name"; created if missing.
            commit_message: title of the commit.
            branch: created if missing; None takes "main".
            private: whether a repo that is created is private; None takes the Hub's default.
            token: None takes the login's, or HF_TOKEN.
            files: `half`, `discriminator`, `metrics`, `training` and `samples` of `save_pretrained`.
        Returns:
            The commit; `oid` is its full hash.
        Raises:
            PretrainedError: if the Hub refuses or does not answer.
        """
        parse_repo(repo_id)
        with tempfile.TemporaryDirectory() as folder:
            name = repo_id if branch is None else f"{repo_id}@{branch}"
            self.save_pretrained(Path(folder) / "model", repo_id=name, **files)
            return push_folder(
                Path(folder) / "model", repo_id, title=commit_message, branch=branch, private=private, token=token
            )


def _json(values: Mapping[str, Any], name: str) -> str:
    try:
        text = json.dumps(values, indent=2) + "\n"
    except (TypeError, ValueError) as error:  # an object that JSON has not, or one within itself
        raise PretrainedError(f"{name}: cannot be written as JSON ({error})") from error
    parse_json(text, error=PretrainedError, name=name, finite=False)  # as it will be read
    return text
