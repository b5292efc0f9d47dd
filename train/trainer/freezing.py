"""Lowest layers of the discriminator that keep the weights they start from (Mo et al. 2020, "FreezeD")."""

from sngan_cond import Discriminator
from sngan_cond.hub.weights import shape_of
from train.config import TrainConfig
from train.errors import TrainError
from train.trainer.start import StartModel, match_discriminators


def freeze(D: Discriminator, count: int) -> None:
    """Keep the weights of the lowest stages of D as they are, in place: no gradient of them is asked for any more.

    The u of their spectral norms goes on as before, towards the one of weights that stand still.
    """
    D.stages[:count].requires_grad_(False)


def check_frozen(config: TrainConfig, start: StartModel | None) -> None:
    """Refuse to freeze more than D has, or what the model to start from does not have.

    Args:
        start: None for a run that goes on.
    Raises:
        TrainError: naming `freeze_d`.
    """
    if not config.freeze_d or start is None:
        return
    D = shape_of(Discriminator, config.discriminator)
    stages = len(D.stages)
    if config.freeze_d > stages:
        raise TrainError(f"freeze_d={config.freeze_d}: from 0 to {stages} is allowed, the blocks of this discriminator")
    anew = f"freeze_d={config.freeze_d} with init_from={config.init_from}: weights made anew would never be trained"
    D.constraint = config.constraint
    try:
        match = match_discriminators(start.discriminator, D)
    except ValueError as misfit:
        raise TrainError(f"{anew}, and {misfit}; 0 is allowed") from misfit
    taken, names = {part.name for part, _ in match.pairs}, {p: name for name, p in D.named_parameters()}
    whole = [all(names[weight] in taken for weight in stage.parameters()) for stage in D.stages]
    fit = whole.index(False) if False in whole else stages
    if config.freeze_d > fit:
        raise TrainError(f"{anew}, and {fit} of D's lowest blocks fit the model's; from 0 to {fit} is allowed")
