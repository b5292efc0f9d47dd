"""Scores by hand, and where labels enter."""

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
