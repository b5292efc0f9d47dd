"""The tab that crosses two images: the latents of both by the classes of both."""

from typing import Any, ClassVar

from app.requests.cross import CrossRequest
from app.tabs.fields import count_field, latent_field
from app.tabs.tab import Tab
from app.tabs.widgets import picker


class CrossTab(Tab):
    """Two parents, and how finely they are blended."""

    kind = CrossRequest
    button = "Cross"
    seeds = ("latent", "to_latent")
    rolled: ClassVar[dict[str, str]] = {"latent": "`${sngan.seed()}:0`", "to_latent": "`${sngan.seed()}:0`"}
    first = 2

    def choice(self) -> dict[str, Any]:
        """Add both classes."""
        return {
            "class_": picker("Class of the first image", "cross-class", find=self.page.find),
            "to_class": picker("Class of the second image", "cross-to-class", find=self.page.find),
        }

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        return {
            "latent": latent_field("cross", "0:0", label="Latent of the first image"),
            "to_latent": latent_field("cross-to", "1:0", label="Latent of the second image"),
            "steps": count_field("cross", "Steps each way", low=2, high=8, value=4),
        }
