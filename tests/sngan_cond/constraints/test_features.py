"""Batch and layer normalisation of D's features: what is normalised, and by what."""

import pytest
import torch

from tests.sngan_cond.constraints.helpers import constrained, discriminator, images

NORMALISED = {
    "cnn": [f"trunk.convs.{i}" for i in range(1, 7)],
    "dcgan": ["trunk.convs.1"],
    "mnist": ["trunk.convs.1", "trunk.convs.2"],
    "resnet": ["trunk.blocks.0.conv2", *(f"trunk.blocks.{i}.conv{j}" for i in (1, 2, 3) for j in (1, 2))],
}


@pytest.mark.parametrize("architecture", NORMALISED)
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_every_convolution_but_the_first_is_normalised(architecture: str, kind: str) -> None:
    D = discriminator(architecture)
    constrained(D, kind="none", features=kind)
    added = [name.removesuffix(".feature_norm") for name, _ in D.named_modules() if name.endswith(".feature_norm")]
    assert added == NORMALISED[architecture]
    assert not any("feature_norm" in name and "bias" not in name for name, _ in D.named_parameters())  # no multiplier


@pytest.mark.parametrize("architecture", ["cnn", "resnet"])
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_outputs_are_normalised(architecture: str, kind: str) -> None:
    D = discriminator(architecture)
    constrained(D, kind="none", features=kind)
    with torch.no_grad():
        for name, parameter in D.named_parameters():
            if "feature_norm" in name:
                parameter.fill_(0.25)  # beta
            elif name.endswith("weight"):
                parameter.mul_(10)  # so that variances are far above the eps
    outputs = {}
    for name in NORMALISED[architecture]:
        D.get_submodule(name).register_forward_hook(
            lambda _layer, _args, output, name=name: outputs.update({name: output.detach()})
        )
    x, _ = images(D, 6)
    D(x)
    axes = (0, 2, 3) if kind == "batch" else (1, 2, 3)
    for output in outputs.values():
        means, spreads = output.mean(dim=axes), output.var(dim=axes, unbiased=False)
        torch.testing.assert_close(means, torch.full_like(means, 0.25), rtol=0, atol=1e-5)
        torch.testing.assert_close(spreads, torch.ones_like(spreads), rtol=5e-3, atol=0)  # eps leaves a little


def test_layer_norm_looks_at_one_image_and_batch_norm_at_all() -> None:
    scores = {}
    for kind in ("batch", "layer"):
        D = discriminator("cnn")
        constrained(D, kind="none", features=kind)
        x, _ = images(D, 4)
        scores[kind] = (D(x).score[:1], D(x[:1]).score)
    torch.testing.assert_close(*scores["layer"])
    assert not torch.allclose(*scores["batch"], rtol=1e-3)
