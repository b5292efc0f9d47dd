"""Frozen, validated description of a constraint; the default is the spectral normalisation of the official code."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from sngan_cond.validation import Allowed, NotNegative, Positive, StrictConfig, between, short_repr


@dataclass(frozen=True, kw_only=True)
class ConstraintConfig(StrictConfig):
    """Constraints on a network's weights and features; every part that is switched on applies.

    Equations, sections and appendices are those of Miyato et al. 2018, unless another paper is named.

    Args:
        kind: what every weight is divided by: its "spectral" norm (equation 8), each row's length ("weight", equation
            25), its "frobenius" norm (equation 26), or nothing ("none").
        estimate: whose spectral norm: the weight's as a "matrix" (section 4), the mean of its two views
            ("bidirectional", Lin et al. 2021, section 5.1), or the layer's as a linear "operator" at its real input
            size, stride and padding (Farnia et al. 2018).
        scale: fixed factor on every normalised weight (Lin et al. 2021, section 5.2), above 0.
        scale_spread: standard deviation of the logarithm of factors drawn once, one for each layer, with `scale` as
            their geometric mean (Lin et al. 2021, appendix K.1); 0 gives every layer `scale` itself.
        scale_seed: of that draw.
        gamma: learned factor: "none", one "shared", one "per_layer" (appendix E), or, for kind "weight", "per_row".
        gamma_start: gamma starts so that weights are unchanged ("norm", official code), or at 1 ("one", the code of Lin
            et al. 2021).
        gamma_biases: whether gamma multiplies the biases of its layers too (the code of Lin et al. 2021).
        iterations: rounds of power iteration per use, 1 in the papers.
        power_iterations_at: "forward" at every train-mode use (official code), or "update", once per D update
            (Algorithm 1).
        features: "batch" or "layer" normalisation after D's convolutions, without multiplier (section 4.1).
        init: weights "as_built", "orthonormal" (section 4.1), or "lecun" (Lin et al. 2021, section 5.2).
        init_scale: factor on "orthonormal" and "lecun" weights.
        gradient_penalty: lambda of the gradient penalty (equation 29), 10 in the papers; 0 is off.
        orthonormal_penalty: weight of the orthonormal regularisation (equation 14); 0 is off.
        spectral_penalty: lambda of the spectral norm regularisation (Yoshida and Miyato 2017), 0.01 there; 0 is off.
        weight_clip: limit of every weight after each D update, 0.01 in section 4.1; 0 is off.
        singular_clip_every: D updates between clippings of the singular values (appendix D.3); 0 is off.
        singular_clip: largest singular value that this clipping leaves.
        exclude: names of layers that keep their weights as they are.
    Raises:
        ValueError: if a value is not allowed, or sets an option of a part that is off.
    """

    kind: Literal["spectral", "weight", "frobenius", "none"] = "spectral"
    estimate: Literal["matrix", "bidirectional", "operator"] = "matrix"
    scale: Positive = 1.0
    scale_spread: Annotated[float, Allowed(lambda value: 0 <= value <= 5, "a number from 0 to 5")] = 0.0
    scale_seed: Annotated[int, between(0, 2**31 - 1)] = 0
    gamma: Literal["none", "shared", "per_layer", "per_row"] = "none"
    gamma_start: Literal["norm", "one"] = "norm"
    gamma_biases: bool = False
    iterations: Annotated[int, between(1, 1000)] = 1
    power_iterations_at: Literal["forward", "update"] = "forward"
    features: Literal["none", "batch", "layer"] = "none"
    init: Literal["as_built", "orthonormal", "lecun"] = "as_built"
    init_scale: Positive = 1.0
    gradient_penalty: NotNegative = 0.0
    orthonormal_penalty: NotNegative = 0.0
    spectral_penalty: NotNegative = 0.0
    weight_clip: NotNegative = 0.0
    singular_clip_every: Annotated[int, between(0, 1_000_000)] = 0
    singular_clip: Positive = 1.0
    exclude: tuple[str, ...] = ()

    CAME_LATER: ClassVar[dict[str, Any]] = {"gamma_biases": False}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.exclude, tuple) or not all(isinstance(name, str) for name in self.exclude):
            raise ValueError(f"exclude={short_repr(self.exclude)}: a list of layer names is allowed")
        self._check_together()

    def _check_together(self) -> None:
        if self.kind != "spectral" and self.estimate != "matrix":
            raise ValueError(f"estimate={self.estimate!r} with kind={self.kind!r}: it goes with kind spectral")
        if self.kind == "none" and (self.scale != 1 or self.scale_spread or self.gamma != "none"):
            found = f"scale={self.scale}, scale_spread={self.scale_spread}, gamma={self.gamma!r}"
            raise ValueError(f"{found} with kind='none': 1, 0 and 'none' are allowed")
        if self.gamma == "per_row" and self.kind != "weight":
            raise ValueError(f"gamma='per_row' with kind={self.kind!r}: it goes with kind weight")
        if self.gamma_biases and self.gamma not in ("shared", "per_layer"):
            raise ValueError(f"gamma_biases=True with gamma={self.gamma!r}: it goes with shared and per_layer")
        if self.gamma != "none" and (self.scale != 1 or self.scale_spread):
            found = f"scale={self.scale}, scale_spread={self.scale_spread}"
            raise ValueError(f"{found} with gamma={self.gamma!r}: a learned factor starts by gamma_start")
        if self.scale_seed and not self.scale_spread:
            raise ValueError(f"scale_seed={self.scale_seed} with scale_spread=0: nothing is drawn")
        if self.singular_clip != 1 and not self.singular_clip_every:
            raise ValueError(f"singular_clip={self.singular_clip} with singular_clip_every=0: nothing is clipped")
        if self.init == "as_built" and self.init_scale != 1:
            raise ValueError(f"init_scale={self.init_scale} with init='as_built': it goes with orthonormal and lecun")


OFF = ConstraintConfig(kind="none")  # a part is on where its field differs from this one's
