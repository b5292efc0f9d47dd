"""What a run can suffer from, and how each is seen in the numbers of one log line."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from train.config import TrainConfig

# Scalars of a log line by name; of norms, `usual/NAME` is the median and `most/NAME` the largest of lines before, and
# `highest/NAME` the largest that the median ever was, where there are some.
Numbers = Mapping[str, float]

SAME_SCORES = 1e-5  # spread of D's scores, over their size, that rounding alone makes
LOSS_ZERO = 0.01
VANISHED, EXPLODED = 1e-5, 100.0  # a gradient's norm over the usual one, and over the largest of the lines before
FADED = 1 / 30  # of the highest median; runs that learn keep a third, one that has stopped learning a hundredth
NOTHING = 1e-12  # a norm that moves nothing at any time
LATENTS_ALIKE, CLASSES_ALIKE, FLOOR = 0.01, 0.001, 0.1  # of the real images' diversity
CHANCE = 0.01  # of shuffled labels that part the images as well
OVERFIT = 0.5  # of the way from training images to generated ones
NOT_FINITE = "first_not_finite"  # step; a run that cannot go back ends there instead
SCORES = ("d/score_spread", "d/score_real", "d/score_fake")
_MARGIN = ("hinge", "non_saturating", "minimax")  # losses for which scores of about 1 are large
_NEVER_BELOW_ZERO = (*_MARGIN, "ebgan")


class Symptom(NamedTuple):
    """One thing that a run can suffer from.

    Args:
        says: what is seen, as it is printed.
        remedy: what usually helps.
        needs: scalars in which it is seen; a line without them says nothing of it.
        seen: from a line's numbers to the evidence in words, None where it is not in sight.
        lasts: steps that it must be in sight, at every line that tells.
        lines: fewest lines in a row that must show it.
        mends: whether older weights and lower rates may help.
    """

    says: str
    remedy: str
    needs: tuple[str, ...]
    seen: Callable[[Numbers], str | None]
    lasts: int = 20
    lines: int = 3
    mends: bool = True


def symptoms_of(config: TrainConfig) -> dict[str, Symptom]:
    """Return what a run of this configuration is watched for, by short names."""
    lower = "lower optim_g.lr and optim_d.lr, and keep a constraint on D (constraint.kind=spectral)"
    steeper_d = f"{lower}, with a larger constraint.scale"
    weaker_d = "lower optim_d.lr or d_updates_per_step, or give D more images (data.flip, augment.policy)"
    kind = config.loss.kind
    found = {
        "same_scores": Symptom(
            "D answers the same for everything",
            steeper_d,
            SCORES,
            lambda n: _same_scores(n, kind),
            lasts=10,
        ),
        "latents_alike": Symptom(
            "G's outputs are equal for all latents",
            lower,
            ("monitor/latent_diversity",),
            lambda n: _under(n, "monitor/latent_diversity", LATENTS_ALIKE),
        ),
        "classes_alike": Symptom(
            "G's outputs are equal for all classes",
            "look whether labels and class names are right (data.path), and train longer if rates are very low",
            ("monitor/class_diversity", "monitor/latent_diversity"),
            lambda n: None if _all_alike(n) else _under(n, "monitor/class_diversity", CLASSES_ALIKE),
            lasts=50,
        ),
        "low_diversity": Symptom(
            "the diversity of a fixed sample is under the floor",
            f"go back to an earlier checkpoint and {lower}",
            ("monitor/diversity", "monitor/latent_diversity"),
            lambda n: None if _all_alike(n) else _under(n, "monitor/diversity", FLOOR),
            lasts=300,
        ),
        "labels": Symptom(
            "the labels say nothing about the images",
            "look at images and labels of the data set (train.prepare --report): they may be out of step",
            ("monitor/chance_of_labels",),
            _labels,
            mends=False,
        ),
        "memorises": Symptom(
            "D memorises the training images",
            "more images, data.flip or augment.policy; stop where the held-out scores were still close",
            ("monitor/overfit",),
            _memorises,
            lasts=100,
            mends=False,
        ),
    }
    for letter, name in (("d", "D"), ("g", "G")):
        moves, norm = f"monitor/{letter}_moves", f"{letter}/gradient_norm"
        found |= {
            f"{letter}_stands_still": Symptom(
                f"{name}'s weights stand still",
                f"raise optim_{letter}.lr",
                (moves, norm),
                lambda n, moves=moves, norm=norm: _stands_still(n, moves, norm),
                mends=False,
            ),
            f"{letter}_vanishes": Symptom(
                f"{name}'s gradient vanishes",
                steeper_d,
                (norm, *SCORES, "d/loss"),
                lambda n, key=norm: _vanished(n, key, kind),
            ),
            f"{letter}_explodes": Symptom(
                f"{name}'s gradient explodes", lower, (norm,), lambda n, key=norm: _exploded(n, key)
            ),
        }
    found["g_fades"] = Symptom(
        "the gradient of G fades",
        steeper_d,
        ("g/gradient_norm", *SCORES, "d/loss"),
        lambda n: _faded(n, kind),
        lasts=200,
    )
    found["not_finite"] = Symptom(
        "loss or gradient is not finite",
        lower,
        (NOT_FINITE,),
        lambda n: f"for the first time at step {n[NOT_FINITE]:.0f}",
        lasts=0,
        lines=1,
    )
    if kind in _NEVER_BELOW_ZERO:
        found["loss_zero"] = Symptom(
            "D's loss is at 0",
            weaker_d,
            ("d/loss",),
            lambda n: f"it is {n['d/loss']:.3g}" if _at_zero(n, kind) else None,
            lasts=500,
        )
    return found


def _same_scores(n: Numbers, kind: str) -> str | None:
    real, fake, spread = n["d/score_real"], n["d/score_fake"], n["d/score_spread"]
    if spread > SAME_SCORES * max(abs(real), abs(fake), float(kind in _MARGIN)):
        return None
    return f"its scores have mean {real:.3g} on real images, {fake:.3g} on generated ones, and spread {spread:.3g}"


def _at_zero(n: Numbers, kind: str) -> bool:
    return kind in _NEVER_BELOW_ZERO and n["d/loss"] < LOSS_ZERO


def _all_alike(n: Numbers) -> bool:
    return n["monitor/latent_diversity"] < LATENTS_ALIKE


def _under(n: Numbers, key: str, floor: float) -> str | None:
    if n[key] >= floor:
        return None
    return f"{100 * n[key]:.3g}% of the real images' diversity; {100 * floor:g}% is the least expected"


def _vanished(n: Numbers, key: str, kind: str) -> str | None:
    usual = n.get(f"usual/{key}", 0.0)
    if n[key] > max(NOTHING, VANISHED * usual) or _same_scores(n, kind):
        return None
    if key == "d/gradient_norm" and _at_zero(n, kind):  # nothing to learn from images that it tells apart so well
        return None
    return f"its norm is {n[key]:.3g}" + (f", where {usual:.3g} was usual" if usual else "")


def _faded(n: Numbers, kind: str) -> str | None:
    norm, highest = n["g/gradient_norm"], n.get("highest/g/gradient_norm", 0.0)
    if norm >= FADED * highest or _vanished(n, "g/gradient_norm", kind) or _same_scores(n, kind) or _at_zero(n, kind):
        return None
    return f"its norm is {norm:.3g}, where {highest:.3g} was usual once"


def _exploded(n: Numbers, key: str) -> str | None:
    most = n.get(f"most/{key}", 0.0)
    if not 0 < EXPLODED * most < n[key]:
        return None
    return f"its norm is {n[key]:.3g}, where it was up to {most:.3g} before"


def _stands_still(n: Numbers, moves: str, norm: str) -> str | None:
    if n[moves] > 0 or n[norm] <= NOTHING:  # without a gradient that is no wonder
        return None
    return f"none is another than at the last look, though their gradient's norm is {n[norm]:.3g}"


def _labels(n: Numbers) -> str | None:
    share = n["monitor/chance_of_labels"]
    if share <= CHANCE:
        return None
    return f"{100 * share:.0f}% of shuffled ones part colours and edges as well"


def _memorises(n: Numbers) -> str | None:
    share = n["monitor/overfit"]
    if share < OVERFIT:
        return None
    return f"D scores held-out images {100 * share:.0f}% of the way from training images to generated ones"
