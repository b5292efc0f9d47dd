"""Images for the experiment trackers, which Accelerate gives each in another form, or not at all."""

import numpy as np
from accelerate.tracking import GeneralTracker


def send_image(tracker: GeneralTracker, name: str, image: np.ndarray, *, step: int, now: int) -> None:
    """Give a tracker of a run one image.

    Args:
        tracker: TensorBoard's, Weights & Biases' or Trackio's.
        image: (H, W, 3) uint8.
        step: that it shows.
        now: step that is logged next: W&B drops what comes for an earlier one, so its image is captioned instead.
    """
    if tracker.name == "tensorboard":
        tracker.log_images({name: image[None]}, step=step, dataformats="NHWC")
    elif tracker.name == "wandb":
        import wandb

        tracker.log({name: wandb.Image(image, caption=f"step {step}")}, step=now)
    elif tracker.name == "trackio":
        import trackio

        tracker.log({name: trackio.Image(image, caption=f"step {step}")}, step=step)
