"""Frozen, validated descriptions of networks and losses; the defaults are the papers' 128 px ImageNet setting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from sngan_cond.plans import PLANS, StagePlan
from sngan_cond.validation import Allowed, NotNegative, StrictConfig, between, short_repr

Architecture = Literal["resnet", "cnn", "dcgan", "mnist"]
Latent = Literal["normal", "uniform"]
ConvBackend = Literal["auto", "plain", "strided", "shuffled", "minimal"]  # see sngan_cond.fast.dispatch.set_backend
Switch = bool | Literal["auto"]  # in YAML and after --set: on, off or auto
Transformation = Literal["color", "translation", "cutout"]
HeadKind = Literal["unconditional", "projection", "concat", "auxiliary_classifier", "reconstruction"]

# Of every batch norm: Chainer's defaults, which the official networks use (eps 2e-5, decay 0.9).
BATCH_NORM_EPS = 2e-5
BATCH_NORM_MOMENTUM = 0.1

# Bounds well beyond the papers' networks: a typing error is refused here instead of filling the memory.
Resolution = Annotated[int, between(1, 1024)]
Classes = Annotated[int, between(0, 100_000)]
Channels = Annotated[int, between(1, 4096)]
LatentDim = Annotated[int, between(1, 65_536)]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(StrictConfig):
    """A generator's architecture, and the names of its classes.

    Args:
        resolution: side of the images in pixels.
        num_classes: number of classes K; 0 builds an unconditional generator.
        latent_dim: length of the latent z.
        architecture: "resnet" (Miyato et al. 2018, Tables 4-6), "cnn" (Table 3 there), "dcgan" (Radford et al. 2016) or
            "mnist" (Lin et al. 2021, Table 4).
        channels: base width, that of the layer nearest to the image; None takes the published one.
        latent: distribution of z, standard "normal" or "uniform" on [-1, 1).
        norm: "batch" normalisation, or "none" (BEGAN) for a cnn architecture without classes.
        first_norm: what the first batch norm of a cnn architecture takes moments of: each "unit" of the linear layer
            (the authors' codes), or each "channel" of the features (weights saved before there was a choice).
        norm_eps: added to the variance by every batch norm: 2e-5 in the official code, 1e-5 in that of Lin et al. 2021.
        class_names: K names, in label order, or None.
        class_ids: K WordNet ids, in label order, or None.
    Raises:
        ValueError: if a value is not allowed; the message names field, value and what is.
    """

    resolution: Resolution = 128
    num_classes: Classes = 1000
    latent_dim: LatentDim = 128
    architecture: Architecture = "resnet"
    channels: Channels | None = None
    latent: Latent = "normal"
    norm: Literal["batch", "none"] = "batch"
    first_norm: Literal["channel", "unit"] = "channel"
    norm_eps: Annotated[float, Allowed(lambda value: 0 < value <= 1, "a number above 0 and up to 1")] = BATCH_NORM_EPS
    class_names: tuple[str, ...] | None = None
    class_ids: tuple[str, ...] | None = None

    CAME_LATER: ClassVar[dict[str, Any]] = {"first_norm": "channel", "norm_eps": BATCH_NORM_EPS}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "none" and (self.architecture != "cnn" or self.num_classes):
            raise ValueError("norm='none': it goes with architecture cnn and num_classes 0")
        if self.first_norm == "unit" and (self.architecture != "cnn" or self.norm == "none"):
            raise ValueError("first_norm='unit': it goes with architecture cnn and norm batch")
        if self.norm_eps != BATCH_NORM_EPS and self.norm == "none":
            raise ValueError(f"norm_eps={self.norm_eps} with norm='none': nothing is normalised")
        official = official_channels(self.architecture, self.resolution, "g")  # also refuses a resolution
        if self.channels is None:
            object.__setattr__(self, "channels", official)  # the dataclass is frozen; a saved config names its width
        for name in ("class_names", "class_ids"):
            self._check_names(name, getattr(self, name))

    def _check_names(self, field: str, names: object) -> None:
        if names is None:
            return
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{field}={names!r:.60}: a tuple of strings or None is allowed")
        if len(names) != self.num_classes:
            raise ValueError(f"{field} has {len(names)} entries; num_classes={self.num_classes} asks for as many")

    @property
    def width(self) -> int:
        """The resolved base width in channels."""
        assert self.channels is not None
        return self.channels


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig(StrictConfig):
    """A discriminator's architecture; its weights are constrained by a `ConstraintConfig`.

    Args:
        resolution: side of the images in pixels.
        num_classes: number of classes K; 0 for the unconditional and the reconstruction head.
        head: where the label enters: nowhere ("unconditional"), by projection, concatenated in the trunk, or by an
            auxiliary classifier. "reconstruction" is an autoencoder of architecture cnn, without labels, whose score is
            minus its error (BEGAN, EBGAN).
        architecture: as a generator's.
        channels: base width, that of the layer nearest to the image; None takes the published one.
        hidden: width between a block's convolutions: that of its "input" (official code) or "output" (Lin et al. 2021).
        skip: a learned skip where shapes require it ("auto", official code) or in every block ("always", Lin et al.).
        embed_dim: length of the label embedding of the concat head.
        slope: negative slope of the leaky ReLU of the cnn architecture (0.1 in Miyato et al. 2018, Table 3; 0 is ReLU).
        top_size: relative size of the input and output of the cnn architecture's last convolution (Figure 4 there).
        pool: the resnet architecture's features, summed over space ("sum", Miyato et al.) or averaged ("mean",
            Gulrajani et al. 2017).
        score_bias: whether the score layer has a bias; None is as published (not at 32 px, nor in mnist).
        error: reconstruction error, a mean over an image's values: absolute ("l1", BEGAN) or squared ("l2", EBGAN).
        conv_init: convolutions of cnn and mnist start from N(0, 0.02^2) ("normal"), or from it cut at two deviations
            ("truncated", the code of Lin et al. 2021).
    Raises:
        ValueError: if a value is not allowed; the message names field, value and what is.
    """

    resolution: Resolution = 128
    num_classes: Classes = 1000
    head: HeadKind = "projection"
    architecture: Architecture = "resnet"
    channels: Channels | None = None
    hidden: Literal["input", "output"] = "input"
    skip: Literal["auto", "always"] = "auto"
    embed_dim: Channels = 128
    slope: Annotated[float, Allowed(lambda value: 0 <= value < 1, "a number from 0 to below 1")] = 0.1
    top_size: Annotated[float, Allowed(lambda value: 0 < value <= 16, "a number above 0 and up to 16")] = 1.0
    pool: Literal["sum", "mean"] = "sum"
    score_bias: bool | None = None
    error: Literal["l1", "l2"] = "l1"
    conv_init: Literal["normal", "truncated"] = "normal"

    CAME_LATER: ClassVar[dict[str, Any]] = {"conv_init": "normal"}

    def __post_init__(self) -> None:
        super().__post_init__()
        official = official_channels(self.architecture, self.resolution, "d")
        if self.channels is None:
            object.__setattr__(self, "channels", official)
        if (self.head in ("unconditional", "reconstruction")) != (self.num_classes == 0):
            raise ValueError(
                f"head={self.head!r} with num_classes={self.num_classes}: unconditional and reconstruction go with 0 "
                "classes, every other head with at least one"
            )
        if self.head == "concat" and self.architecture in ("dcgan", "mnist"):
            raise ValueError(
                f"head='concat': the {self.architecture} architecture takes unconditional, projection, "
                "auxiliary_classifier"
            )
        if self.head == "reconstruction" and self.architecture != "cnn":
            raise ValueError(f"head='reconstruction' with architecture={self.architecture!r}: cnn is allowed")
        plain_cnn = self.architecture in ("cnn", "mnist") and self.head != "reconstruction"
        if self.conv_init == "truncated" and not plain_cnn:
            raise ValueError("conv_init='truncated': it goes with architectures cnn and mnist, but no reconstruction")
        if self.score_bias not in (None, True, False):
            raise ValueError(f"score_bias={short_repr(self.score_bias)}: true, false or null is allowed")

    @property
    def width(self) -> int:
        """The resolved base width in channels."""
        assert self.channels is not None
        return self.channels


@dataclass(frozen=True, kw_only=True)
class LossConfig(StrictConfig):
    """The adversarial loss, and the weights of what is added to it.

    Args:
        kind: adversarial loss; "began" and "ebgan" go with the reconstruction head of D.
        classification_d: weight of the auxiliary classifier's cross-entropy on real images in the D update.
        classification_g: weight of the auxiliary classifier's cross-entropy on fakes in the G update.
        diversity: BEGAN's gamma, the target ratio of the fakes' reconstruction error to the real images'.
        balance_rate: BEGAN's lambda_k, the learning rate of the balance k, per D update.
        margin: EBGAN's m, the energy above which D stops pushing fakes away.
        lecam: weight of the LeCam regularisation of D, for data sets of few images (Tseng et al. 2021; 0.3 in their
            CIFAR-10 runs of hinge losses); 0 is off.
        lecam_decay: weight of the old ones in LeCam's averages of D's scores, per D update; they start at 0.
    Raises:
        ValueError: if a value is not allowed, or sets an option of another loss or of what is off.
    """

    kind: Literal["hinge", "non_saturating", "minimax", "wasserstein", "began", "ebgan"] = "hinge"
    classification_d: NotNegative = 1.0
    classification_g: NotNegative = 0.1
    diversity: NotNegative = 0.75
    balance_rate: NotNegative = 0.001
    margin: NotNegative = 1.0
    lecam: NotNegative = 0.0
    lecam_decay: Annotated[float, Allowed(lambda value: 0 <= value < 1, "a number from 0 to below 1")] = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, used, otherwise in (
            ("diversity", self.kind == "began", f"kind={self.kind}: only began has one"),
            ("balance_rate", self.kind == "began", f"kind={self.kind}: only began has one"),
            ("margin", self.kind == "ebgan", f"kind={self.kind}: only ebgan has one"),
            ("lecam_decay", self.lecam > 0, "lecam=0: only LeCam's averages have one"),
        ):
            if not used and (value := getattr(self, name)) != getattr(LossConfig, name):
                raise ValueError(f"{name}={value} with {otherwise}")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(StrictConfig):
    """Augmentation of all images that the discriminator sees, real and generated, for data sets of few images.

    Args:
        policy: transformations: "color" (brightness, saturation, contrast), "translation" by up to 1/8 of the side,
            "cutout" of a square of half the side (Zhao et al. 2020, section 3); none is off.
        strength: probability of each of them for each image (Karras et al. 2020); at 1 all images get all.
        adaptive: let the strength start at 0, and rise while D's scores of real images are above 0 too often, and fall
            while they are not (Karras et al. 2020, section 3).
        target: the mean sign of these scores that an adaptive strength aims at: 0 is as often above as below 0, 1 is
            always above.
        adaptation_images: real images over which an adaptive strength may move from 0 to 1.
    Raises:
        ValueError: if a value is not allowed, or sets an option of what is off.
    """

    policy: tuple[Transformation, ...] = ()
    strength: Annotated[float, Allowed(lambda value: 0 <= value <= 1, "a number from 0 to 1")] = 1.0
    adaptive: bool = False
    target: Annotated[float, Allowed(lambda value: -1 < value < 1, "a number between -1 and 1")] = 0.6
    adaptation_images: Annotated[int, between(1, 10**9)] = 500_000

    def __post_init__(self) -> None:
        super().__post_init__()
        known = get_args(Transformation)
        if not isinstance(self.policy, tuple) or not all(name in known for name in self.policy):
            raise ValueError(f"policy={short_repr(self.policy)}: a list of {', '.join(known)} is allowed")
        if self.adaptive and self.strength != 1:
            raise ValueError(f"strength={self.strength} with adaptive=True: an adaptive strength starts at 0")
        if not self.policy and (self.adaptive or self.strength != 1):
            raise ValueError(f"strength={self.strength}, adaptive={self.adaptive} with policy=(): nothing is applied")
        for name in ("target", "adaptation_images"):
            if not self.adaptive and (value := getattr(self, name)) != getattr(AugmentConfig, name):
                raise ValueError(f"{name}={value} with adaptive=False: only an adaptive strength has one")


# Published base width of the architectures beside the resnet, whose plans say it, and the sides in pixels they take.
_FAMILIES: dict[str, tuple[int, Callable[[int], bool], str]] = {
    "cnn": (64, lambda side: side >= 16 and side % 8 == 0, "takes multiples of 8 from 16 px"),
    "dcgan": (128, lambda side: side >= 16 and side & (side - 1) == 0, "takes powers of 2 from 16 px"),
    "mnist": (64, lambda side: side == 28, "is 28 px"),
}


def official_channels(architecture: Architecture, resolution: int, network: Literal["g", "d"]) -> int:
    """Return the published channel count of the layer nearest to the image, of which other widths are multiples.

    Args:
        network: "g" for the generator, "d" for the discriminator.
    Raises:
        ValueError: if the architecture does not exist at this resolution.
    """
    if architecture == "resnet":
        plan = plan_for(resolution)
        return plan.g_channels if network == "g" else plan.d_channels
    channels, takes, sides = _FAMILIES[architecture]
    if not takes(resolution):
        raise ValueError(f"resolution={resolution}: the {architecture} architecture {sides}")
    return channels


def plan_for(resolution: int) -> StagePlan:
    """Return the row of `PLANS` for images of a side in pixels.

    Raises:
        ValueError: if there is none.
    """
    if resolution not in PLANS:
        raise ValueError(f"resolution={resolution}: the resnet architecture has plans for {sorted(PLANS)} px")
    return PLANS[resolution]
