import sys
from types import SimpleNamespace

import numpy as np
import pytest

from train.run.trackers import send_image

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(("name", "logged_at"), [("wandb", 20), ("trackio", 10)])
def test_an_image_comes_in_the_trackers_own_form(name: str, logged_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps nothing for a step before the last one that was logged; Trackio does."""
    sent: list[tuple[object, int]] = []
    module = SimpleNamespace(Image=lambda image, caption: (image.tolist(), caption))
    monkeypatch.setitem(sys.modules, name, module)
    tracker = SimpleNamespace(name=name, log=lambda values, step: sent.append((values, step)))
    send_image(tracker, "samples", IMAGE, step=10, now=20)  # type: ignore[arg-type]
    assert sent == [({"samples": (IMAGE.tolist(), "step 10")}, logged_at)]
