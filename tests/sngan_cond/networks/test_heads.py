"""Scores by hand, and where labels enter."""

from typing import Any

import pytest
import torch

from sngan_cond import Discriminator, DiscriminatorConfig
from sngan_cond.networks.heads import Head, LabelPlanes
from tests.refusals import refused


def config(head: str) -> DiscriminatorConfig:
    classes = 0 if head == "unconditional" else 3
    return DiscriminatorConfig(resolution=32, num_classes=classes, head=head, channels=2, embed_dim=2)


FEATURES = torch.tensor([[1.0, -2.0], [0.5, 4.0]])
Y = torch.tensor([2, 0])


def head(kind: str) -> Head:
    built = Head(config(kind), features=2, bias=True)
    with torch.no_grad():
        built.linear.weight.copy_(torch.tensor([[3.0, 1.0]]))
        built.linear.bias.fill_(0.25)
    return built


def test_unconditional() -> None:
    output = head("unconditional")(FEATURES, None)
    assert output.score.tolist() == [1.25, 5.75]  # 3 - 2 + 1/4, 1.5 + 4 + 1/4
    assert output.class_logits is None


def test_projection_adds_the_inner_product_with_the_labels_embedding() -> None:
    projection = head("projection")
    with torch.no_grad():
        projection.embed.weight.copy_(torch.tensor([[1.0, 10.0], [0.0, 0.0], [2.0, -1.0]]))
    assert projection(FEATURES, Y).score.tolist() == [1.25 + 4.0, 5.75 + 40.5]
    assert projection(FEATURES, None).score.tolist() == [1.25, 5.75]  # as in the official code


def test_auxiliary_classifier_says_logits_and_leaves_the_score_alone() -> None:
    output = head("auxiliary_classifier")(FEATURES, Y)
    assert output.score.tolist() == [1.25, 5.75]
    assert output.class_logits is not None
    assert output.class_logits.shape == (2, 3)


def test_label_planes() -> None:
    planes = LabelPlanes(config("concat"))
    x = torch.randn(2, 4, 3, 5)
    joined = planes(x, Y)
    assert joined.shape == (2, 6, 3, 5)
    assert torch.equal(joined[:, :4], x)
    for i, label in enumerate(Y):
        assert torch.equal(joined[i, 4:], planes.embed.weight[label][:, None, None].expand(2, 3, 5))


def test_concat_needs_labels() -> None:
    D = Discriminator(config("concat"))
    refused(lambda: D(torch.zeros(1, 3, 32, 32)), "y=None: a discriminator with the concat head needs labels")


@pytest.mark.parametrize("kind", ["unconditional", "projection", "concat", "auxiliary_classifier"])
def test_the_head_reads_the_features(kind: str) -> None:
    D = Discriminator(config(kind))
    x, y = torch.randn(2, 3, 32, 32), None if kind == "unconditional" else [2, 0]
    features = D.features(x, y)
    assert features.shape == (2, D.trunk.features)
    labels = None if y is None else torch.tensor(y)
    assert torch.equal(D.head(features, labels).score, D(x, y).score)
    if kind == "projection":
        assert torch.equal(D.features(x), features)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(2, 3, 64, 64), [0, 1], "x of shape (2, 3, 64, 64): (N, 3, 32, 32) is allowed"),
        (torch.zeros(2, 1, 32, 32), [0, 1], "x of shape (2, 1, 32, 32)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [0, 1], "x of torch.uint8: floating-point numbers are allowed"),
        (torch.zeros(2, 3, 32, 32), [0], "y of shape (1,) and torch.int64: (2,) is allowed"),
        (torch.zeros(2, 3, 32, 32), [0, 3], "y holds 3: labels from 0 to 2 are allowed"),
        (torch.zeros(2, 3, 32, 32), torch.eye(3)[:2], "y of torch.float32: int64 labels are allowed"),
    ],
)
def test_refusals(x: torch.Tensor, y: Any, message: str) -> None:
    D = Discriminator(config("projection"))
    refused(lambda: D(x, y), message)
    refused(lambda: D.features(x, y), message)


def test_what_a_head_does_not_have_is_refused() -> None:
    x = torch.zeros(1, 3, 32, 32)
    refused(lambda: Discriminator(config("unconditional"))(x, [0]), "y is given: a discriminator without classes")
    autoencoder = Discriminator(
        DiscriminatorConfig(resolution=32, num_classes=0, head="reconstruction", architecture="cnn", channels=2)
    )
    refused(lambda: autoencoder.features(x), "an autoencoder has none")
