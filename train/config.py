"""Everything that decides a training run; the defaults are the 128 px ImageNet run of Miyato and Koyama 2018."""

from dataclasses import dataclass, field
from os.path import expanduser
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sngan_cond.config import (
    Architecture,
    AugmentConfig,
    ConvBackend,
    DiscriminatorConfig,
    GeneratorConfig,
    LossConfig,
    Switch,
)
from sngan_cond.constraints.config import OFF, ConstraintConfig

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
PathText = Annotated[str, AfterValidator(expanduser)]  # ~ is the home folder, which no shell sees in YAML
# Which ids of licences there are is the Hub's to say; all have this form.
LicenceId = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*[+]*$")]


def _as_texts(choices: object) -> object:
    """Read `{0: 3, my cat: tabby}` as texts and lists of texts; what else YAML may have read is refused."""
    if not isinstance(choices, dict):
        return choices  # refused as what it is
    lists = {name: list(chosen) if isinstance(chosen, list | tuple) else [chosen] for name, chosen in choices.items()}
    for name, chosen in lists.items():
        if not chosen or any(isinstance(one, bool) or not isinstance(one, str | int) for one in (name, *chosen)):
            raise ValueError(
                f"{name}={choices[name]!r}: classes are names (in quotes where YAML reads more into them), WordNet ids "
                "or indices; one or a list is allowed"
            )
    return {str(name): [str(one) for one in chosen] for name, chosen in lists.items()}


# A class to one or several classes of another model, all by name, WordNet id or index.
ClassChoices = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_as_texts)]


def _word_off(value: Any) -> Any:
    """Return the word for what YAML reads "off" as."""
    return "off" if value is False else value


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """Adam of one network, in the names of Kingma and Ba 2015.

    Source: Miyato et al. 2018, appendix B.2; configs/sn_projection.yml of pfnet-research/sngan_projection.

    Args:
        lr: learning rate alpha, about the length of each weight's step.
        beta1: decay of the average of gradients; 0 steps by the newest alone.
        beta2: decay of the average of squared gradients, by whose root each weight's step is divided.
        eps: added to that root.
    """

    lr: Rate = 2e-4
    beta1: Momentum = 0.0
    beta2: Momentum = 0.9
    eps: Rate = 1e-8


@dataclass(frozen=True, kw_only=True)
class EmaConfig:
    """Moving average of the generator; it never touches training itself.

    Args:
        decay: weight of the old average at each step; 0 copies the generator.
        start: steps during which the average only copies.
    """

    decay: Momentum = 0.999
    start: NotNegative = 1000


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The prepared data set and how it is fed.

    Args:
        path: folder written by `python -m train.prepare`, from the current one on where it is relative.
        flip: mirror each image with probability 1/2; off in the papers' runs.
        resident: keep the images on the device: when they fit ("auto"), "always" or "never".
        balance: real batches take all images equally often ("none"), or all classes ("classes"), so that the images of
            a small class come back more often.
        fake_labels: labels of fakes are "uniform" over the classes, as in the papers, or as frequent as in the data
            set ("data").
        held_out: fraction of each class that is kept from training, at least one image where a class has two; 0 keeps
            none. By them a run sees whether D knows its images by heart.
    """

    path: PathText = "data/imagenet-128"
    flip: bool = False
    resident: Literal["auto", "always", "never"] = "auto"
    balance: Literal["none", "classes"] = "none"
    fake_labels: Literal["uniform", "data"] = "uniform"
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.0


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """Publishing during the run.

    Args:
        repo: "user/name"; None publishes nothing.
        every: steps between publications, each of which saves a checkpoint.
        private: whether a repo that is made is private.
        license: the Hub's id of the licence that the cards state, such as mit; None states none.
    """

    repo: str | None = None
    every: Positive = 50_000
    private: bool = False
    license: LicenceId | None = None

    def __post_init__(self) -> None:
        if self.license == "other":
            raise ValueError("hub.license=other: a licence with an id is allowed; train.publish takes others")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Scores during the run, of the averaged and of the raw generator.

    Args:
        every: steps between evaluations; 0 never evaluates.
        protocol: "quick", "paper", "bsn", "50k" or "intra_class": how many images, with which labels.
        metrics: empty takes the protocol's own.
        extractor: network behind the scores: "inception-v3-compat", or a stand-in that `python -m train.evaluate
            --help` lists.
        weights: file of the extractor's weights; None looks where they usually are.
        classifier: file written by `python -m train.evaluation.classifier`, for classifier_accuracy.
        data: prepared data set to compare with; None takes the training data.
        fakes: fewer generated images than the protocol asks for; the result is named so.
        reals: another number of real images; likewise.
        batch: images at once on each process.
    """

    every: NotNegative = 0
    protocol: str = "quick"
    metrics: tuple[str, ...] = ()
    extractor: str = "inception-v3-compat"
    weights: PathText | None = None
    classifier: PathText | None = None
    data: PathText | None = None
    fakes: Positive | None = None
    reals: Positive | None = None
    batch: Positive = 64


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """How a run is watched, and what follows when it is not well.

    Args:
        action: "warn" says so; "stop" also saves and ends the run; "rollback" goes back to the last healthy checkpoint
            and halves both learning rates, three times at most, and then stops; "off" does not watch.
        every: most steps between two looks at a fixed sample, which are taken where the run logs.
    """

    action: Annotated[Literal["warn", "stop", "rollback", "off"], BeforeValidator(_word_off)] = "warn"
    every: Positive = 50


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Speed switches; "auto" is on for GPUs and off on a CPU, where the convolutions' native kernels are fast already.

    Args:
        convolution: backend of the 3x3 convolutions (`sngan_cond.fast.dispatch.set_backend`); "auto" goes by a table
            of device and shape (`sngan_cond.fast.choices`).
        pad_channels: give the convolutions between images and features 8 channels with zeros instead of 3; "auto" goes
            by the same table.
        memory_format: layout of the weights; "auto" is channels_last on a GPU. Activations take the layout that the
            convolutions return.
        compile: hand both networks to torch.compile; the first steps then take minutes.
        capture: record each whole update, optimiser included, as CUDA graphs around the exchange between processes, and
            replay them.
        batched_sn: iterate for all spectrally normalised weights at once.
        one_call: let D score the real and the fake images of its update in one call, where that equals two: u must not
            move at every forward (`constraint.power_iterations_at=update`, or no spectral norm), and D must have no
            batch norm. The official semantics ("forward") are two calls.
        tf32: let float32 products on GPUs round their inputs to 10 bits of mantissa; "auto" does in float32 runs that
            are not `deterministic`, and keeps the few float32 products of bf16 runs whole.
    """

    convolution: ConvBackend = "auto"
    pad_channels: Switch = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: Switch = "auto"
    capture: Switch = "auto"
    batched_sn: Switch = "auto"
    one_call: Switch = "auto"
    tf32: Switch = "auto"


# What a constraint may set on a generator: the rest acts on features, or in a discriminator's update.
_OF_GENERATORS = (
    *("kind", "estimate", "scale", "scale_spread", "scale_seed", "gamma", "gamma_start", "iterations"),
    *("init", "init_scale", "exclude"),
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run; `resolution`, `num_classes` and `architecture` are those of both networks.

    Args:
        resolution: side of the images in pixels.
        num_classes: 0 trains without labels; "auto" in a preset, or after --set, is the number that the prepared data
            set has.
        architecture: "resnet" (Miyato et al. 2018, Tables 4-6), "cnn" (Table 3 there), "dcgan" (Radford et al. 2016) or
            "mnist" (Lin et al. 2021, Table 4).
        constraint: on the discriminator's weights and features.
        constraint_g: on the generator's weights; what acts on features or in D's update is refused.
        augment: of all images that D sees; the training data stay as they are.
        init_from: model that a run starts from: "user/name", "user/name@revision", a model's or a run's folder, or
            "bundled". What fits of its generator, and of its discriminator where it has one, is taken; classes keep the
            rows of their names, or WordNet ids, and others start from the mean of all rows. None makes all anew.
        init_classes: which class of that model a class starts from instead, as in {my cat: tabby}; of several, as in
            {my pet: [tabby, pug]}, from their mean. Classes are names, WordNet ids or indices.
        seed: of everything random; a run is a function of its configuration.
        steps: number of G updates.
        d_updates_per_step: n_dis, D updates for each G update.
        freeze_d: how many of D's blocks, or convolutions, from the image up, keep the weights of `init_from` (Mo et al.
            2020).
        batch_total: real images of one D update, over all processes.
        fakes_per_step: generated images of one G update, over all processes.
        accumulate: micro-batches that one update is split into.
        decay_from: step from which both learning rates fall linearly, to 0 at `steps`; None keeps them.
        batch_norm: the generator's statistics: of each process (official code), or of all together, which waits
            for the other processes at every batch norm, in both passes, and rules out CUDA graphs.
        precision: "fp32", "bf16" or "auto", which is bf16 on GPUs that compute in it and elsewhere what
            `accelerate launch` says, and in a run that goes on what its checkpoints were made in. The run says at its
            start what it took. Under bf16 weights, statistics, sigma and losses stay float32.
        deterministic: ask PyTorch for deterministic kernels, and cuDNN not to choose its own by timing them, so that a
            run on a GPU can be repeated bit for bit.
        speed: changes rounding, never what is computed.
        log_every: steps between log lines; the device is waited for no more often.
        save_every: steps between checkpoints.
        keep_checkpoints: how many of the newest are kept, beside the last that was healthy.
        sample_every: steps between sample grids, which are drawn at steps 0, 10 and 100 too.
        samples_per_class: columns of the sample grid.
        trackers: experiment trackers, by Accelerate's names; wandb and trackio are extras of their names.
    """

    resolution: Positive = 128
    num_classes: NotNegative = 1000
    architecture: Architecture = "resnet"
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    constraint: ConstraintConfig = field(default_factory=ConstraintConfig)
    constraint_g: ConstraintConfig = OFF
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    init_from: PathText | None = None
    init_classes: ClassChoices = field(default_factory=dict, hash=False)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    steps: Positive = 450_000
    d_updates_per_step: Positive = 5
    freeze_d: NotNegative = 0
    batch_total: Positive = 64
    fakes_per_step: Positive = 128
    accumulate: Positive = 1
    optim_g: AdamConfig = field(default_factory=AdamConfig)
    optim_d: AdamConfig = field(default_factory=AdamConfig)
    decay_from: NotNegative | None = 400_000
    ema: EmaConfig = field(default_factory=EmaConfig)
    batch_norm: Literal["per_process", "synchronised"] = "per_process"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    deterministic: bool = False
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    data: DataConfig = field(default_factory=DataConfig)
    log_every: Positive = 50
    sample_every: Positive = 1000
    save_every: Positive = 1000
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    samples_per_class: Positive = 8
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ("tensorboard",)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self) -> None:
        if self.constraint_g.power_iterations_at == "update":
            raise ValueError("constraint_g.power_iterations_at=update: u of the generator moves at its forwards only")
        for name, off in vars(OFF).items():
            if (value := getattr(self.constraint_g, name)) != off and name not in _OF_GENERATORS:
                raise ValueError(f"constraint_g.{name}={value}: only a discriminator's update applies it")
        if self.init_from is not None and self.constraint_g.gamma != "none" and self.constraint_g.gamma_start == "norm":
            raise ValueError(
                f"init_from={self.init_from} with constraint_g.gamma={self.constraint_g.gamma}: gamma would start from "
                "the norms of weights that the model's replace; constraint_g.gamma_start=one is allowed"
            )
        if self.init_classes and self.init_from is None:
            raise ValueError("init_classes: classes of the model that init_from names; it is None")
        for name in ("batch_total", "fakes_per_step"):
            if getattr(self, name) % self.accumulate:
                raise ValueError(f"{name}={getattr(self, name)}: a multiple of accumulate={self.accumulate} is allowed")
        if self.freeze_d and self.init_from is None:
            raise ValueError(f"freeze_d={self.freeze_d} without init_from: random weights would never be trained")
        if self.freeze_d and (self.constraint.weight_clip or self.constraint.singular_clip_every):
            raise ValueError(f"freeze_d={self.freeze_d} with a constraint that clips weights: it would move them")
        if self.augment.adaptive and self.loss.kind not in ("hinge", "non_saturating", "minimax"):
            raise ValueError(
                f"augment.adaptive=True with loss.kind={self.loss.kind}: the sign of its scores says nothing; hinge, "
                "non_saturating and minimax are allowed"
            )


# Both networks share these; a preset says them once, at the top.
SHARED_KEYS = ("resolution", "num_classes", "architecture")

# What may change between two starts of one run without changing what it computes before the change.
FREE_KEYS = (
    "steps",
    "decay_from",
    "log_every",
    "sample_every",
    "save_every",
    "keep_checkpoints",
    "samples_per_class",
    "trackers",
    "monitor",
    "evaluation",
    "hub",
    "speed.capture",  # so that a run goes on where recording fails
)
