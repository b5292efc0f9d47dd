"""What requests have whose latents are drawn from a seed, or are one with a name."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

from app import limits
from app.limits import InvalidRequest, short_repr
from app.requests.base import Request, asked
from sngan_cond.ancestry import source_name


@dataclass(frozen=True, kw_only=True)
class LatentRequest(Request):
    """A request whose latents are drawn, truncated or not, or whose one latent is given by its name.

    Args:
        truncation: threshold in standard deviations, or None.
        latent: name, as in `sngan_cond.ancestry`; empty for what the seed draws.
    """

    replaced: ClassVar[tuple[str, ...]] = ("seed", "truncation")  # fields in whose place a latent with a name stands

    truncation: float | None = asked("truncation", limits.truncation, None, recipe="truncation", argument="truncation")
    latent: str = asked("latent", partial(limits.latent, "latent"), "", recipe="latent", argument="latent")

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values; beside the name of a latent, those in whose place it stands may not be given."""
        given = values.get("latent")
        if isinstance(given, str) and given.strip():
            values.setdefault("count", 1)
        request = super().parse(**values)
        beside = f"beside the latent {short_repr(request.latent)}"
        for entry in cls._own_first():
            value = getattr(request, entry.name)
            if entry.name in request.unused and value != entry.default:
                raise InvalidRequest(f"{entry.name} is {value} {beside}: one of them is allowed", entry.name)
            if request.latent and entry.name == "count" and value != 1:
                raise InvalidRequest(f"number of images is {value} {beside}: 1 is allowed", entry.name)
        return request

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields in whose place the latent stands."""
        return self.replaced if self.latent else ()

    def source(self, row: int = 0) -> str:
        """Return the name of the latent of a row."""
        return self.latent or source_name(self.seed, row, self.truncation)
