"""`save_pretrained`, `from_pretrained` and `push_to_hub`, strict where huggingface_hub's mixin is lenient.

The mixin would ignore unknown arguments, drop unknown fields of a config and fill in missing ones, and accept a folder
half written; here each of these is an error or cannot happen.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import CommitInfo, ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sngan_cond.atomic import atomic_folder
from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.cards import plain_card
from sngan_cond.hub.download import locate
from sngan_cond.hub.files import (
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    METRICS_FILE,
    MODEL_FILES,
    SAMPLES_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    ModelFiles,
    PretrainedError,
    parse_repo,
)
from sngan_cond.hub.upload import push_folder
from sngan_cond.hub.weights import read_config, read_weights
from sngan_cond.stored import parse_json


class PretrainedMixin(PyTorchModelHubMixin):
    """Saving and loading for a generator built from a `config`; `provenance` says where a loaded one came from."""

    config: GeneratorConfig
    provenance: ModelFiles | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the mixin's **model_kwargs would let anything pass
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a generator in inference mode, from one commit of a Hub repo or from a folder.

        Args:
            pretrained_model_name_or_path: "user/name", "user/name@revision", a folder, or "bundled" for the model
                inside this package.
            revision: branch, tag or full commit hash of a repo; None takes "main".
            token: for the Hub; None takes the login's, or HF_TOKEN.
            cache_dir: of the Hub's client; None takes its own.
            local_files_only: do not use the network.
        Returns:
            The generator in eval mode, its `provenance` set.
        Raises:
            PretrainedError: a ValueError that says what is missing, unknown, damaged or refused, and what to do.
        """
        files = locate(
            pretrained_model_name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        return cls.from_files(files)

    @classmethod
    def from_files(cls, files: ModelFiles) -> Self:
        """Load a generator whose files `locate` found, in eval mode.

        Raises:
            PretrainedError: if a file is damaged, or the two do not fit each other.
        """
        network = _shape_of(cls, read_config(files.folder / CONFIG_FILE, f"{files.source}: {CONFIG_FILE}"))
        weights = read_weights(files.folder / WEIGHTS_FILE, network.state_dict())
        network.load_state_dict(weights, strict=True, assign=True)
        network.provenance = files
        return network.eval()  # type: ignore[no-any-return]

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        *,
        discriminator: nn.Module | None = None,
        metrics: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        samples: Path | None = None,
        repo_id: str | None = None,
    ) -> None:
        """Write a model folder: config, weights, card, and what else is given.

        A new folder appears whole or not at all. In an existing one each file is replaced whole, and a model file that
        is not written this time is removed, since it describes other weights.

        Args:
            save_directory: the folder; created if missing.
            discriminator: written as `discriminator.safetensors`.
            metrics: content of `metrics.json`.
            training: content of `training.json`.
            samples: a PNG, copied as `samples.png`.
            repo_id: name for the card; None takes the folder's.
        Raises:
            PretrainedError: if the weights are not a plain generator's, or the folder cannot be written.
        """
        target = Path(save_directory)
        try:
            with atomic_folder(target) as draft:
                for name, values in ((METRICS_FILE, metrics), (TRAINING_FILE, training)):
                    if values is not None:
                        text = json.dumps(values, indent=2) + "\n"
                        parse_json(text, error=PretrainedError, name=name, finite=False)  # as it will be read
                        (draft / name).write_text(text)
                if samples is not None:
                    shutil.copyfile(samples, draft / SAMPLES_FILE)
                if discriminator is not None:
                    _save_weights(discriminator, draft / DISCRIMINATOR_FILE)
                facts = {"metrics": metrics, "training": training, "samples": samples is not None}
                super().save_pretrained(draft, model_card_kwargs={"name": repo_id or target.resolve().name, **facts})
                written = {path.name for path in draft.iterdir()}
            for name in MODEL_FILES:
                if name not in written:
                    (target / name).unlink(missing_ok=True)
        except OSError as error:
            raise PretrainedError(f"{target}: cannot be written ({error.strerror or error})") from error

    def _save_pretrained(self, save_directory: Path) -> None:
        assert isinstance(self, nn.Module)
        plain: Any = _shape_of(type(self), self.config)
        if plain.state_dict().keys() != self.state_dict().keys():
            raise PretrainedError(
                "the generator carries a constraint or other additions: fold or remove them to save it"
            )
        (save_directory / CONFIG_FILE).write_text(self.config.to_json())
        _save_weights(self, save_directory / WEIGHTS_FILE)

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
            files: `discriminator`, `metrics`, `training` and `samples` of `save_pretrained`.
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


class _NoInitialisation(TorchFunctionMode):
    """Leaves random initialisation out."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def _shape_of(kind: Any, config: GeneratorConfig) -> Any:
    """Build a network of shapes without values.

    Nothing is allocated for a config that the weights do not fit, and no time is spent on an initialisation that the
    weights overwrite; on the meta device, a random one would even import PyTorch's compiler, which takes seconds.
    """
    with torch.device("meta"), _NoInitialisation():
        return kind(config)


def _save_weights(network: nn.Module, path: Path) -> None:
    plain = {}
    for name, tensor in network.state_dict().items():
        kept = tensor.detach().cpu()
        # safetensors refuses tensors that share memory, so each is a copy; and always float32, the type that is read.
        plain[name] = (kept.float() if kept.is_floating_point() else kept).contiguous().clone()
    save_file(plain, path, metadata={"format": "pt"})
