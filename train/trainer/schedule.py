"""What moves both learning rates over a run."""


def linear_decay(step: int, *, decay_from: int | None, steps: int) -> float:
    """Return the factor on both learning rates for the update of a step.

    1 up to `decay_from` (for ever, if that is None), then a line that would reach 0 at `steps`: the last update moves.
    Source: Miyato et al. 2018, appendix B.3; chainer.training.extensions.LinearShift in the official train.py.

    Args:
        step: number of steps taken before this one.
    """
    if decay_from is None or step <= decay_from:
        return 1.0
    return 1.0 - (step - decay_from) / (steps - decay_from)
