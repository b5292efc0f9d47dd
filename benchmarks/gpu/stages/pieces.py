"""The trained model in pieces small enough for any way back: `cat model.tar.* | tar x` puts them together."""

import hashlib
import tarfile
from pathlib import Path

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.gpu.stages.training import model_folder

PIECE_BYTES = 15 * 2**20
FILES = ("model.safetensors", "config.json", "training.json")  # what `Generator.from_pretrained` reads, and its record


def run(campaign: Campaign) -> Rows:
    """Pack the newest checkpoint's generator, and say what each piece's checksum is."""
    model, archive = model_folder(campaign), Path(campaign.work) / "model.tar"
    with tarfile.open(archive, "w") as tar:
        for name in FILES:
            if (model / name).exists():
                tar.add(model / name, name)
    with archive.open("rb") as packed:
        pieces = iter(lambda: packed.read(PIECE_BYTES), b"")
        for number, piece in enumerate(pieces):
            name = f"model.tar.{number:02}"
            (Path(campaign.out) / name).write_bytes(piece)
            yield (
                "Pieces of the model",
                {
                    "file": name,
                    "MiB": len(piece) / 2**20,
                    "sha256": hashlib.sha256(piece).hexdigest(),
                },
            )
