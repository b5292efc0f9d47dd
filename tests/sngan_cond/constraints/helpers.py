"""Dense matrices and tiny networks that the tests of constraints share."""

import torch
from torch import Tensor, nn

from sngan_cond import Constraint, ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from sngan_cond.constraints.weight_matrices import raw_weight

# Rounds after which power iteration on these small random matrices agrees with an exact decomposition to 1e-6.
CONVERGED = 1000
SIDES = {"resnet": 32, "cnn": 16, "dcgan": 16, "mnist": 28}  # in pixels, by architecture


def constrained(network: nn.Module, **settings: object) -> Constraint:
    """Attach the constraint of these settings to a network, or a layer, and return it."""
    constraint = build_constraint(ConstraintConfig(**settings))
    constraint.attach(network)
    return constraint


def dense(layer: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """Write a layer without its bias as a matrix whose columns are what it makes of the unit inputs."""
    size = torch.Size(input_shape).numel()
    units = torch.eye(size, dtype=raw_weight(layer).dtype).reshape(size, *input_shape)
    inputs = torch.cat([torch.zeros_like(units[:1]), units])
    with torch.no_grad():
        outputs = layer(inputs).flatten(1)  # one call, and so one power iteration
    return (outputs[1:] - outputs[0]).T


def outputs_first(weight: Tensor, layer: nn.Module) -> Tensor:
    """Write the (outputs, rest) matrix of a layer's weight, another way than the code."""
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


def layer_and_matrix(kind: str) -> tuple[nn.Module, Tensor]:
    """Build a layer of one kind, and copy its weight's (outputs, rest) matrix."""
    torch.manual_seed(0)
    layer = {
        "conv": nn.Conv2d(5, 7, 3),
        "linear": nn.Linear(9, 4),
        "transposed": nn.ConvTranspose2d(6, 4, 4),
        "embedding": nn.Embedding(6, 9),
    }[kind]
    return layer, rows(layer).clone()


def rows(layer: nn.Module) -> Tensor:
    """Write the (outputs, rest) matrix of a layer's weight as it acts."""
    return outputs_first(layer.weight.detach(), layer)


def top_singular_value(matrix: Tensor) -> float:
    """Return the largest singular value, by a full decomposition."""
    return float(torch.linalg.svdvals(matrix.detach())[0])


def discriminator(architecture: str = "cnn", head: str = "unconditional", seed: int = 0) -> Discriminator:
    """Build a discriminator of a few channels whose biases are not zero."""
    classes = 0 if head in ("unconditional", "reconstruction") else 3
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = DiscriminatorConfig(
            resolution=SIDES[architecture],
            num_classes=classes,
            head=head,
            architecture=architecture,
            channels=4,
            embed_dim=5,
        )
        D = Discriminator(config)
        for name, parameter in D.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.05)
    return D


def images(D: Discriminator, n: int, seed: int = 0) -> tuple[Tensor, Tensor | None]:
    """Draw images (n, 3, R, R) and the labels that D asks for."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 3, D.config.resolution, D.config.resolution, generator=rng) * 2 - 1
    classes = D.config.num_classes
    return x, torch.randint(0, classes, (n,), generator=rng) if classes else None
