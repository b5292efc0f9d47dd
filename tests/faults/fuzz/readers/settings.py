"""YAML, presets, `--set`, and the facts and records that cards are made of."""

import json
from collections.abc import Sequence
from pathlib import Path

from sngan_cond.hub.files import PretrainedError
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.mutate import mutate_json, mutate_text
from tests.faults.fuzz.readers.common import CONFIG, YAML_TOKENS, fixed, put, written
from tests.train.publishing.published_run import METRICS, TRAINING
from train import stored
from train.config import TrainConfig
from train.errors import TrainError
from train.presets import load
from train.publishing import cards

_KEYS = tuple(key.encode() for key in load.config_to_dict(TrainConfig()))


def _set(folder: Path, data: bytes) -> object:
    given = data.decode("utf-8", "surrogateescape").split("\x1f")
    return load.load_config("tiny", given, count_classes=lambda _: 3)


def _preset(folder: Path, data: bytes) -> object:
    (folder / "a.yaml").write_bytes(data)
    load.preset_notes(str(folder / "a.yaml"))
    return load.load_config(str(folder / "a.yaml"), count_classes=lambda _: 3)


def _preset_seeds(_: Path) -> Sequence[bytes]:
    return [
        *(path.read_bytes() for path in sorted(load.FOLDER.glob("*.yaml"))),
        load.config_to_yaml(TrainConfig()).encode(),
    ]


def _card(folder: Path, data: bytes) -> object:
    training = stored.read_json(put(folder / "training.json", data), error=TrainError, finite=False)
    facts = cards.load_facts(cards.GENERIC)
    return cards.render_card(CONFIG, repo="user/x", facts=facts, training=training, metrics=METRICS, samples=True)


READERS = (
    Reader(
        "yaml",
        lambda folder: [*_preset_seeds(folder), b"a: [1, {b: ~}, 'x', 1.0e-4]\nb:\n  - c: |\n      text\n"],
        written("a.yaml", stored.read_yaml),
        (TrainError,),
        (stored.read_yaml, stored.parse_yaml, stored._Loader),
        mutate_text,
        YAML_TOKENS,
        share=1.5,
    ),
    Reader(
        "preset",
        _preset_seeds,
        _preset,
        (TrainError,),
        (load,),
        mutate_text,
        (*YAML_TOKENS, *_KEYS, b"extends: tiny"),
        share=0.8,
    ),
    Reader(
        "set",
        fixed(
            "batch_total=64",
            "optim_g.lr=1e-4\x1fsteps=9\x1faugment.policy=[color]",
            "init_from=m\x1finit_classes={a: [1, b]}",
        ),
        _set,
        (TrainError,),
        (load.load_config, load._Settings, load._share_keys),
        mutate_text,
        (b"\x1f", b"=", b".", b"loss.kind", b"generator.channels", b"num_classes=auto", *_KEYS),
        share=0.8,
    ),
    Reader(
        "facts",
        lambda _: [cards.GENERIC.read_bytes(), *(p.read_bytes() for p in cards.FOLDER.glob("c*.yaml"))],
        written("facts.yaml", cards.load_facts),
        (TrainError,),
        (cards.load_facts, cards.Facts),
        mutate_text,
        YAML_TOKENS,
        share=0.5,
    ),
    Reader(
        "training.json-in-card",
        fixed(
            json.dumps(TRAINING),
            json.dumps(
                TRAINING
                | {
                    "init_from": {
                        "source": "a/b",
                        "repo": "a/b",
                        "commit": "1",
                        "step": 3,
                        "sha256": {"model.safetensors": "4"},
                    }
                }
            ),
        ),
        _card,
        (TrainError, PretrainedError),
        (cards.render_card, cards.flat, cards._fenced),
        mutate_json,
        share=0.15,
    ),
)
