"""The tab that interpolates from one class to another with one latent."""

from typing import Any

from app.limits import LIMITS
from app.requests.morph import MorphRequest
from app.tabs.fields import count_field, latent_fields
from app.tabs.tab import Tab
from app.tabs.widgets import picker


class MorphTab(Tab):
    """Two classes, and the steps between them."""

    kind = MorphRequest
    button = "Morph"
    first = 2

    def choice(self) -> dict[str, Any]:
        """Add both classes."""
        return {
            "from_class": picker("From", "morph-from", find=self.page.find),
            "to_class": picker("To", "morph-to", find=self.page.find),
        }

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        steps = count_field("morph", "Frames", low=2, high=LIMITS.steps, value=16)
        return {"steps": steps, **latent_fields("morph")}
