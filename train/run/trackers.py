"""What Accelerate gives the experiment trackers in another form than is wanted, or not at all."""

import numpy as np
from accelerate.tracking import GeneralTracker


def send_config(tracker: GeneralTracker, values: dict[str, bool | int | float | str]) -> None:
    """Give a tracker the configuration of a run, its keys dotted."""
    if tracker.name != "tensorboard":
        tracker.store_init_configuration(values)
        return
    from torch.utils.tensorboard.summary import hparams

    for summary in hparams(values, {}):  # and not by `add_hparams`, which makes an empty run of its own at every start
        tracker.writer.file_writer.add_summary(summary)


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
