"""Everything that decides a training run; the defaults are the 128 px ImageNet run of Miyato and Koyama 2018."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from sngan_cond.config import Architecture, AugmentConfig, DiscriminatorConfig, GeneratorConfig, LossConfig
from sngan_cond.constraints.config import OFF, ConstraintConfig
from train.sections import (
    AdamConfig,
    ClassChoices,
    DataConfig,
    EmaConfig,
    EvaluationConfig,
    HubConfig,
    MonitorConfig,
    NotNegative,
    PathText,
    Positive,
    SpeedConfig,
)

# What a constraint may set on a generator: the rest acts on features, or in a discriminator's update.
_OF_GENERATORS = (
    *("kind", "estimate", "scale", "scale_spread", "scale_seed", "gamma", "gamma_start"),
    *("gamma_biases", "iterations", "init", "init_scale", "exclude"),
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
        process_timeout: seconds after which one of several processes that does not answer, or takes no step though it
            neither scores nor publishes, is named and ends the run.
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
    process_timeout: Annotated[float, Field(gt=0, le=86_400)] = 300.0
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
    "process_timeout",
    "monitor",
    "evaluation",
    "hub",
    "speed.capture",  # so that a run goes on where recording fails
    "data.path",  # checkpoints know the images by checksum
)
