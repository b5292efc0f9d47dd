"""ICC profiles made by hand, and the colours that they mean by plain arithmetic: a second source for Pillow's."""

import struct

import numpy as np

Curve = float | None  # a gamma, None for sRGB's own curve (IEC 61966-2-1)

D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2022, the white of every profile
D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Chromaticities (x, y) of red, green and blue: IEC 61966-2-1; SMPTE EG 432-1, as Apple's Display P3; Adobe RGB (1998).
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB with white D65 to XYZ."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, D65)


def adapted() -> np.ndarray:
    """The matrix from XYZ seen under D65 to XYZ seen under D50."""
    return np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD


def linear(v: np.ndarray, curve: Curve = None) -> np.ndarray:
    return v**curve if curve else np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def shown(xyz: np.ndarray) -> np.ndarray:
    """XYZ (N, 3) under D65 as sRGB, 0 to 255, before rounding; what sRGB cannot show is clipped."""
    v = np.clip(xyz @ np.linalg.inv(to_xyz(SRGB)).T, 0, 1)
    return 255 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)


def rgb_profile(columns: np.ndarray, curve: Curve = None) -> bytes:
    """A profile of RGB by its matrix to XYZ under D50."""
    tags = {b"wtpt": _xyz(D50)}
    for i, name in enumerate((b"r", b"g", b"b")):
        tags |= {name + b"XYZ": _xyz(columns[:, i]), name + b"TRC": _curve(curve)}
    return _profile(b"RGB ", b"XYZ ", tags)


def grey_profile(curve: Curve) -> bytes:
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": _curve(curve)})


def cmyk_profile(corners: np.ndarray) -> bytes:
    """A table of the 16 corners of CMYK, K fastest, (16, 3) uint8 as Lab (L 255 / 100, a + 128, b + 128)."""
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + b"".join(map(_fixed, np.eye(3).flatten()))
    table += 4 * identity + corners.astype(np.uint8).tobytes() + 3 * identity
    return _profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": table})


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(value: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, value))


def _curve(curve: Curve) -> bytes:
    if curve:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256))
    return b"para\0\0\0\0\0\3\0\0" + b"".join(map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    start, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4xI", start + len(data), 0x02400000) + kind + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(_fixed, D50))
    return head.ljust(128, b"\0") + table + data


P3_PROFILE = rgb_profile(adapted() @ to_xyz(P3))
