"""What the lists of readers share."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sngan_cond.config import GeneratorConfig
from tests.command_line import IDS, NAMES
from tests.faults.fuzz.engine import LONGEST_LINE

CONFIG = GeneratorConfig(resolution=32, num_classes=4, channels=4, latent_dim=8, class_names=NAMES, class_ids=IDS)
NPY_TOKENS = tuple(b"descr fortran_order shape True False <f4 |O |u1 >i8 ( ) , L 99999999999".split())
TENSOR_TOKENS = tuple(
    b"dtype shape data_offsets __metadata__ F32 F16 BF16 F64 I64 U8 BOOL sngan_cond format pt".split()
)
YAML_TOKENS = (
    b": ",
    b"\n",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!int ",
    b"!!python/object:os.system ",
    b"? ",
    b"|",
    b"1:59",
    b"0x",
)


def fixed(*seeds: bytes | str) -> Callable[[Path], Sequence[bytes]]:
    """Return what gives these seeds."""
    return lambda _: [seed.encode() if isinstance(seed, str) else seed for seed in seeds]


def written(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """Return what writes the bytes under a name in the folder, and reads the file."""
    return lambda folder, data: read(put(folder / name, data))


def put(path: Path, data: bytes) -> Path:
    """Write a file, and return its path."""
    path.write_bytes(data)
    return path


def text(data: bytes) -> str:
    """Return bytes as the system gives them to a command, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def check_line(text: str) -> None:
    """Check what is told of a file that is skipped."""
    assert "\n" not in text
    assert len(text) < LONGEST_LINE
