"""The sections of a training run's configuration, and the kinds of values that its keys take."""

from dataclasses import dataclass
from os.path import expanduser
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sngan_cond.config import ConvBackend, Switch
from sngan_cond.validation import one_line, short_repr

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
                f"{one_line(name, 100)}={short_repr(choices[name])}: classes are names (in quotes where YAML reads "
                "more into them), WordNet ids or indices; one or a list is allowed"
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
        dequantise: add noise below the step of 8 bits to real images (pfnet-research/sngan_projection); off, they are
            stretched to [-1, 1] as they are (pfnet-research/chainer-gan-lib, fjxmlzn/BSN).
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
    dequantise: bool = True
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
        if self.repo is not None:
            from sngan_cond.hub.files import parse_repo  # only here: the Hub's client takes a while to import

            parse_repo(self.repo, argument="hub.repo")
        if self.license == "other":
            raise ValueError("hub.license=other: a licence with an id is allowed; train.publish takes others")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Scores during the run, of the averaged and of the raw generator; of one where `ema.decay=0` makes them the same.

    Args:
        every: steps between evaluations; 0 never evaluates.
        protocol: "quick", "paper", "bsn", "report", "50k" or "intra_class": how many images, with which labels.
        metrics: empty takes the protocol's own.
        extractor: network behind the scores: "inception-v3-compat", or a stand-in that `python -m train.evaluate
            --help` lists.
        weights: file of the extractor's weights; None looks where they usually are.
        classifier: file written by `python -m train.evaluation.classifier`, for classifier_accuracy.
        test: prepared data set of other real images, for classification_accuracy_score, which trains a classifier on
            generated images and tests it on these.
        data: prepared data set to compare with; None takes the training data.
        fakes: fewer generated images than the protocol asks for; the result is named so.
        reals: another number of real images; likewise.
        seeds: sample sets, each from a seed of its own, over which scores are averaged; their spread is told.
        batch: images at once on each process.
    """

    every: NotNegative = 0
    protocol: str = "quick"
    metrics: tuple[str, ...] = ()
    extractor: str = "inception-v3-compat"
    weights: PathText | None = None
    classifier: PathText | None = None
    test: PathText | None = None
    data: PathText | None = None
    fakes: Positive | None = None
    reals: Positive | None = None
    seeds: Positive = 1
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
