"""`shapes`: procedurally drawn images whose class is the shape; any side, any class count, no download."""

import colorsys
import dataclasses
import math
from collections.abc import Callable

import numpy as np


def _box(x: np.ndarray, y: np.ndarray, half_w: float, half_h: float) -> np.ndarray:
    return np.maximum(np.abs(x) - half_w, np.abs(y) - half_h)


def _polygon(x: np.ndarray, y: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distance to a simple polygon with `corners` (E, 2): nearest edge, sign by crossing parity."""
    ax, ay = corners.T[:, :, None, None]  # (E, 1, 1) against (R, R)
    ex, ey = (np.roll(corners, -1, axis=0) - corners).T[:, :, None, None]
    along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0.0, 1.0)
    nearest = np.sqrt(((x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2).min(axis=0))
    slope = ex / np.where(ey == 0.0, np.inf, ey)  # a horizontal edge crosses no horizontal ray
    crossings = ((y < ay) != (y < ay + ey)) & (x < ax + (y - ay) * slope)
    return nearest * np.where(crossings.sum(axis=0) % 2 == 1, -1.0, 1.0)


def _star_corners(points: int, outer: float, inner: float) -> np.ndarray:
    turn = np.arange(2 * points) * math.pi / points
    radius = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
    return np.stack([radius * np.sin(turn), -radius * np.cos(turn)], axis=1)


def _heart_corners(count: int) -> np.ndarray:
    turn = np.arange(count) * 2 * math.pi / count
    across = 16 * np.sin(turn) ** 3
    down = -13 * np.cos(turn) + 5 * np.cos(2 * turn) + 2 * np.cos(3 * turn) + np.cos(4 * turn)
    return np.stack([across / 16.5, (down - 2.5) / 15.5], axis=1)


TRIANGLE = np.array([(0.0, -1.05), (1.02, 0.75), (-1.02, 0.75)])
STAR = _star_corners(5, outer=1.08, inner=0.46)
HEART = _heart_corners(64)

# Signed distance fields: (x, y) grids in shape units -> distance to the outline, negative inside. Distances are exact
# near the outline, which is all that anti-aliasing needs.
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disc": lambda x, y: np.hypot(x, y) - 0.95,
    "square": lambda x, y: _box(x, y, 0.82, 0.82),
    "triangle": lambda x, y: _polygon(x, y, TRIANGLE),
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.75) - 0.2,
    "cross": lambda x, y: np.minimum(_box(x, y, 0.95, 0.28), _box(x, y, 0.28, 0.95)),
    "star": lambda x, y: _polygon(x, y + 0.06, STAR),
    "heart": lambda x, y: _polygon(x, y, HEART),
    "crescent": lambda x, y: np.maximum(np.hypot(x + 0.1, y) - 0.95, 0.78 - np.hypot(x - 0.42, y)),
    "bars": lambda x, y: _box(x, y - np.clip(np.round(y / 0.68), -1, 1) * 0.68, 0.92, 0.18),  # to the nearest of three
    "checker": lambda x, y: np.minimum(  # two diagonal fields of a 2 by 2 board
        _box(x - 0.46, y + 0.46, 0.46, 0.46), _box(x + 0.46, y - 0.46, 0.46, 0.46)
    ),
}
TEXTURES = ("plain", "striped", "dotted", "ringed")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")  # hue 0, 60, ... 300 degrees
MAX_CLASSES = len(SHAPES) * len(TEXTURES) * 360  # one degree of hue apart is the finest that is kept
SPLITS = ("train", "test")  # two streams of images that never meet


@dataclasses.dataclass(frozen=True)
class ShapeClasses:
    """The first `count` classes, 1 to MAX_CLASSES: shapes, then shape x texture, then shape x texture x hue."""

    count: int

    @property
    def textures(self) -> int:
        """Number of textures that tell classes apart."""
        return min(len(TEXTURES), -(-self.count // len(SHAPES)))

    @property
    def hues(self) -> int:
        """Number of hues that tell classes apart; with 1 the hue varies freely within a class."""
        return -(-self.count // (len(SHAPES) * len(TEXTURES)))

    def parts(self, label: int) -> tuple[str, str, float | None]:
        """Return shape, texture and hue of a label; the hue is in [0, 1), or None where it is free."""
        rest, shape = divmod(label, len(SHAPES))
        hue, texture = divmod(rest, len(TEXTURES))
        spacing = 1 / max(self.hues, len(COLOURS))
        return list(SHAPES)[shape], TEXTURES[texture], hue * spacing if self.hues > 1 else None

    def name(self, label: int) -> str:
        """Return what a person calls the class: `star`, `dotted star`, `cyan dotted star`, `hue 30 dotted star`."""
        shape, texture, hue = self.parts(label)
        words = [shape] if self.textures == 1 else [texture, shape]
        if hue is not None:
            degrees = round(hue * 360)
            words.insert(0, COLOURS[degrees // 60] if self.hues <= len(COLOURS) else f"hue {degrees}")
        return " ".join(words)


def draw(classes: ShapeClasses, label: int, *, side_px: int, key: tuple[int, ...]) -> np.ndarray:
    """Draw one image of a class.

    Position, size, rotation (up to 14 degrees), colours and background vary; the shape fills 55 to 80 % of the side
    and the background stays dark, so that a small GAN learns the classes within minutes.

    Args:
        label: 0 to classes.count - 1.
        side_px: side R of the image.
        key: non-negative integers that decide all that varies, for instance (seed, split, index).
    Returns:
        (R, R, 3) uint8.
    """
    rng = np.random.default_rng(key)
    shape, texture, hue = classes.parts(label)
    scale, angle = rng.uniform(0.56, 0.78), rng.uniform(-0.25, 0.25)
    shift_x, shift_y = rng.uniform(-0.5, 0.5, size=2) * (1 - scale)
    free_hue, saturation, ground_hue, ground_value, phase = rng.uniform(size=5)

    line = (np.arange(side_px) + 0.5) * (2 / side_px) - 1  # pixel centres in [-1, 1]
    u, v = np.meshgrid(line, line)
    turned_x = (math.cos(angle) * (u - shift_x) + math.sin(angle) * (v - shift_y)) / scale
    turned_y = (math.cos(angle) * (v - shift_y) - math.sin(angle) * (u - shift_x)) / scale
    distance_px = SHAPES[shape](turned_x, turned_y) * (scale * side_px / 2)
    cover = np.clip(0.5 - distance_px, 0.0, 1.0)  # how much of the pixel is inside the outline

    colour = np.array(colorsys.hsv_to_rgb(free_hue if hue is None else hue, 0.5 + 0.4 * saturation, 1.0))
    light = 0.85 - 0.15 * (turned_x + turned_y) / 2  # lit from the upper left
    light = light * (1 - 0.6 * _texture(texture, turned_x, turned_y, phase))
    ground = np.array(colorsys.hsv_to_rgb(ground_hue, 0.5, 0.10 + 0.12 * ground_value))
    ground_light = 1 - 0.35 * v  # lighter towards the top
    image = (cover * light)[..., None] * colour + ((1 - cover) * ground_light)[..., None] * ground
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


def _texture(name: str, x: np.ndarray, y: np.ndarray, phase: float) -> np.ndarray:
    """Return the darkness of a texture, in [0, 1]: about 4 periods across the shape, so that 32 px still show it."""
    turn = 2 * math.pi
    wave_x, wave_y = np.cos(turn * (2 * x + phase)), np.cos(turn * (2 * y + phase))
    darkness = {
        "plain": np.zeros_like(x),
        "striped": wave_x,
        "dotted": wave_x + wave_y - 0.4,
        "ringed": np.cos(turn * (2.2 * np.hypot(x, y) + phase)),
    }[name]
    return np.clip(0.5 + darkness, 0.0, 1.0) if name != "plain" else darkness
