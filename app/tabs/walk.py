"""The tab that interpolates from one latent to another within a class."""

from typing import Any, ClassVar

from app.limits import LIMITS
from app.requests.walk import WalkRequest
from app.tabs.fields import count_field, latent_fields, seed_field
from app.tabs.tab import Tab
from app.tabs.widgets import picker


class WalkTab(Tab):
    """A class, and the latents at both ends of the walk."""

    kind = WalkRequest
    button = "Walk"
    seeds = ("seed", "to_seed")
    rolled: ClassVar[dict[str, str]] = {
        "seed": "String(sngan.seed())",
        "to_seed": "String(sngan.seed())",
        "latent": "''",
    }
    first = 1

    def choice(self) -> dict[str, Any]:
        """Add the class."""
        return {"class_": picker("Class", "walk-class", find=self.page.find)}

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        steps = count_field("walk", "Frames", low=2, high=LIMITS.steps, value=16)
        latents = latent_fields("walk", seed_label="From seed", replaced="the first seed")
        to_seed = seed_field("To seed", "1", "walk-to-seed")
        return {"steps": steps, "to_seed": to_seed, **latents}
