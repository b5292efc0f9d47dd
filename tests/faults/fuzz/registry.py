"""Every reader, by name."""

from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.readers import datasets, evaluation, models, page, runs, settings, sources, texts

_ROOMS = (texts, models, settings, datasets, sources, runs, evaluation, page)
READERS: dict[str, Reader] = {reader.name: reader for room in _ROOMS for reader in room.READERS}
