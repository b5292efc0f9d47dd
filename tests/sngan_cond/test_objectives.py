"""Objectives: what goes through which network, in which order, and which state is carried on."""

import pytest
import torch
from torch import Tensor

from sngan_cond import Constraint, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, LossConfig
from sngan_cond.augmentation import NUMBERS, augmented
from sngan_cond.config import AugmentConfig
from sngan_cond.losses import classification_loss, hinge_discriminator, hinge_generator
from sngan_cond.objectives import (
    DiscriminatorBatch,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
)
from tests.refusals import refused


def networks(head: str = "projection") -> tuple[Generator, Discriminator]:
    torch.manual_seed(6)
    classes = 0 if head in ("unconditional", "reconstruction") else 3
    architecture = "cnn" if head == "reconstruction" else "resnet"
    G = Generator(GeneratorConfig(resolution=32, num_classes=classes, channels=2, latent_dim=4))
    D = Discriminator(
        DiscriminatorConfig(resolution=32, num_classes=classes, head=head, architecture=architecture, channels=2)
    )
    return G, D


def batch(classes: bool = True) -> DiscriminatorBatch:
    labels = (torch.tensor([0, 2, 1]), torch.tensor([1, 1])) if classes else (None, None)
    return DiscriminatorBatch(torch.rand(3, 3, 32, 32) * 2 - 1, labels[0], torch.randn(2, 4), labels[1])


class Recorded(torch.nn.Module):
    """Passes on to a discriminator and keeps what it was asked."""

    def __init__(self, D: Discriminator) -> None:
        super().__init__()
        self.D, self.calls = D, []

    def forward(self, x: Tensor, y: Tensor | None) -> object:
        self.calls.append((x, y))
        return self.D(x, y)


def test_real_images_first_then_fakes_without_a_graph() -> None:
    (G, D), asked = networks(), batch()
    recorded = Recorded(D)
    objective = discriminator_objective(recorded, G, asked, loss=LossConfig(), constraint=Constraint())
    (real, y_real), (fake, y_fake) = recorded.calls
    assert torch.equal(real, asked.real)
    assert torch.equal(y_real, asked.y_real)
    assert torch.equal(y_fake, asked.y_fake)
    assert fake.shape == (2, 3, 32, 32)
    assert not fake.requires_grad
    expected = hinge_discriminator(D(real, y_real).score, D(fake, y_fake).score)
    torch.testing.assert_close(objective.total, expected)
    objective.total.backward()
    assert all(parameter.grad is None for parameter in G.parameters())
    assert all(parameter.grad is not None for parameter in D.parameters())
    assert set(objective.parts) == {"loss", "score_real", "score_fake", "score_spread"}
    torch.testing.assert_close(objective.parts["score_fake"], D(fake, y_fake).score.mean().detach())
    assert not any(part.requires_grad for part in objective.parts.values())


def test_fakes_are_made_in_the_generators_own_mode() -> None:
    G, D = networks()
    before = G.network.norm.running_mean.clone()
    discriminator_objective(D, G.eval(), batch(), loss=LossConfig(), constraint=Constraint())
    assert torch.equal(G.network.norm.running_mean, before)
    discriminator_objective(D, G.train(), batch(), loss=LossConfig(), constraint=Constraint())
    assert not torch.equal(G.network.norm.running_mean, before)


def test_the_generators_objective_reaches_every_parameter_of_it() -> None:
    G, D = networks()
    D.requires_grad_(False)
    z, y = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    objective = generator_objective(D, G, z, y, loss=LossConfig())
    objective.total.backward()
    assert all(parameter.grad is not None for parameter in G.parameters())
    assert all(parameter.grad is None for parameter in D.parameters())
    torch.testing.assert_close(objective.total, hinge_generator(D(G(z, y), y).score))
    assert set(objective.parts) == {"loss", "score_fake"}


def test_the_classifiers_cross_entropy_joins_with_its_weights() -> None:
    (G, D), asked = networks("auxiliary_classifier"), batch()
    loss = LossConfig(kind="wasserstein", classification_d=2.0, classification_g=0.5)
    G.eval()
    d = discriminator_objective(D, G, asked, loss=loss, constraint=Constraint())
    real = D(asked.real, asked.y_real)
    fake = D(G(asked.z, asked.y_fake), asked.y_fake)
    on_real = classification_loss(real.class_logits, asked.y_real)
    torch.testing.assert_close(d.parts["classification"], on_real.detach())
    torch.testing.assert_close(d.total, fake.score.mean() - real.score.mean() + 2 * on_real)
    g = generator_objective(D, G, asked.z, asked.y_fake, loss=loss)
    torch.testing.assert_close(g.total, -fake.score.mean() + 0.5 * classification_loss(fake.class_logits, asked.y_fake))


class PenaltyOfThree(Constraint):
    def penalty(self, D, batch, rng=None) -> Tensor:
        self.seen = batch
        return torch.tensor(3.0)


def test_a_constraints_penalty_is_added() -> None:
    (G, D), asked, constraint = networks(), batch(), PenaltyOfThree()
    objective = discriminator_objective(D, G.eval(), asked, loss=LossConfig(), constraint=constraint)
    torch.testing.assert_close(objective.total, objective.parts["loss"] + 3)
    assert objective.parts["penalty"].item() == 3
    real, fake, y = constraint.seen
    assert torch.equal(real, asked.real)
    assert torch.equal(fake, G(asked.z, asked.y_fake))
    assert torch.equal(y, asked.y_real)


def test_an_unconditional_pair() -> None:
    (G, D), asked = networks("unconditional"), batch(classes=False)
    assert discriminator_objective(D, G, asked, loss=LossConfig(), constraint=Constraint()).total.isfinite()
    assert generator_objective(D, G, asked.z, None, loss=LossConfig()).total.isfinite()


def test_an_autoencoders_score_is_minus_its_error() -> None:
    """With real networks; by hand and with the state that moves in test_objective_state.py."""
    (G, D), asked, loss = networks("reconstruction"), batch(classes=False), LossConfig(kind="began")
    state = {"balance": torch.tensor(0.5)}
    found = discriminator_objective(D, G.eval(), asked, loss=loss, constraint=Constraint(), state=state)
    torch.testing.assert_close(found.total, -found.parts["score_real"] + 0.5 * found.parts["score_fake"])
    torch.testing.assert_close(generator_objective(D, G, asked.z, None, loss=loss).total, -D(G(asked.z)).score.mean())


AUGMENT = AugmentConfig(policy=("color", "cutout", "translation"), strength=0.7)


def test_all_that_d_sees_is_augmented_each_image_by_numbers_of_its_own() -> None:
    """Real images, fakes, and what a penalty looks at."""
    (G, D), asked, constraint = networks(), batch(), PenaltyOfThree()
    numbers, strength = (torch.rand(3, NUMBERS), torch.rand(2, NUMBERS)), torch.tensor(0.7)
    real, fake = asked.real, G.eval()(asked.z, asked.y_fake).detach()
    real, fake = (
        augmented(images, own, policy=AUGMENT.policy, strength=strength)
        for images, own in zip((real, fake), numbers, strict=True)
    )
    asked, recorded = asked._replace(augment_real=numbers[0], augment_fake=numbers[1]), Recorded(D)
    found = discriminator_objective(recorded, G, asked, loss=LossConfig(), constraint=constraint, augment=AUGMENT)
    seen = (*(images for images, _ in recorded.calls), *constraint.seen[:2])
    assert [torch.equal(images, shown) for images, shown in zip(seen, (real, fake, real, fake), strict=True)] == [
        True
    ] * 4
    assert set(found.parts) == {"loss", "penalty", "score_real", "score_fake", "score_spread"}
    adaptive = AugmentConfig(policy=AUGMENT.policy, adaptive=True)
    state = initial_objective_state(LossConfig(), adaptive)
    found = discriminator_objective(
        recorded, G, asked, loss=LossConfig(), constraint=Constraint(), augment=adaptive, state=state
    )
    assert torch.equal(recorded.calls[2][0], asked.real)  # it starts at 0
    assert float(found.parts["sign_real"]) == pytest.approx(
        D(asked.real, asked.y_real).score.detach().sign().mean().item()
    )


def test_the_generator_learns_through_the_augmentation() -> None:
    (G, D), z, y = networks(), torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    numbers = torch.rand(4, NUMBERS)
    objective = generator_objective(D, G, z, y, loss=LossConfig(), augment=AUGMENT, numbers=numbers)
    seen = augmented(G(z, y), numbers, policy=AUGMENT.policy, strength=torch.tensor(0.7))
    torch.testing.assert_close(objective.total, -D(seen, y).score.mean())
    (gradient,) = torch.autograd.grad(objective.total, G.network.conv.bias)
    assert gradient.abs().min() > 0


def test_an_augmentation_needs_numbers() -> None:
    (G, D), asked = networks(), batch()
    refused(
        lambda: discriminator_objective(D, G, asked, loss=LossConfig(), constraint=Constraint(), augment=AUGMENT),
        "a batch without numbers, with the augmentation color, cutout, translation: give both",
    )
