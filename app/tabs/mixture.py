"""The tab that blends classes by weight."""

from typing import Any

from app.limits import LIMITS
from app.models import Model
from app.requests.mixture import MixtureRequest
from app.tabs.fields import count_field, latent_fields
from app.tabs.tab import Tab
from app.tabs.widgets import chosen, picked, picker


class MixtureTab(Tab):
    """Classes, and a weight for each."""

    kind = MixtureRequest
    button = "Mix"
    first = 2

    def choice(self) -> dict[str, Any]:
        """Add the classes with their weights."""
        limit = LIMITS.mixture_classes
        return {"classes": picker("Classes", "mixture-classes", find=self.page.find, limit=limit, weighted=True)}

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        return {
            "count": count_field("mixture", "Images"),
            **latent_fields("mixture", replaced="seed, truncation and number"),
        }

    def values(self, data: dict[Any, Any]) -> dict[str, Any]:
        """Return the values of the request's fields; the picker holds two of them."""
        values = super().values(data)
        weights = chosen(data[self.fields["classes"]], "weights")
        return values | {"weights": weights or [1.0] * len(values["classes"])}

    def show(self, model: Model, request: MixtureRequest | None = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model; see `Tab.show`."""
        updates = super().show(model, request)
        if request is not None:
            largest = max(request.weights)  # above 0; sliders end at 1 but links need not, and only proportions count
            weights = [weight / largest for weight in request.weights]
            updates[self.fields["classes"]] = picked(model, request.classes, weights)
        return updates
