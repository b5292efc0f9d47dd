"""Presets against what they follow, key by key, copied by hand from the papers and the authors' codes.

BSN is fjxmlzn/BSN, GANLIB pfnet-research/chainer-gan-lib, PROJECTION pfnet-research/sngan_projection, and SNGAN
COMP6248-Reproducability-Challenge/SNGAN, the code of the report.
"""

import functools
from fnmatch import fnmatchcase
from typing import Any

import pytest

from train.config import TrainConfig
from train.presets.load import config_to_dict, load_config, preset_names, preset_notes


def rates(lr_g: float, lr_d: float, beta1: float, beta2: float) -> dict[str, Any]:
    both = {f"optim_{g}.{name}": value for g in "gd" for name, value in (("beta1", beta1), ("beta2", beta2))}
    return {**both, "optim_g.lr": lr_g, "optim_d.lr": lr_d}


def adam(lr_g: float, lr_d: float, beta1: float, beta2: float, n_dis: int) -> dict[str, Any]:
    return {**rates(lr_g, lr_d, beta1, beta2), "d_updates_per_step": n_dis}


NO_LABELS = {"num_classes": 0, "discriminator.head": "unconditional"}
# Presets, by a pattern of their names; file or section; keys with their values there.
SOURCES: list[tuple[str, str, dict[str, Any]]] = [
    # Lin et al. 2021, everything
    ("bssn/*", "Tables 2-13: no labels", NO_LABELS),
    ("bssn/*", "BSN gan/gan.py: update_ops of u run after d_op", {"constraint.power_iterations_at": "update"}),
    ("bssn/*", "BSN gan/op.py: batch_norm(epsilon=1e-5, momentum=0.9)", {"generator.norm_eps": 1e-5}),
    ("bssn/*", "BSN gan/load_data.py, gan/dataset.py: data / 255. * 2.0 - 1.0", {"data.dequantise": False}),
    ("bssn/*", "BSN gan/gan.py: no decay, no average", {"decay_from": None, "ema.decay": 0.0}),
    # its CNNs
    ("bssn/*/c*", "Table 2", {"generator.latent_dim": 128, "generator.latent": "normal"}),
    ("bssn/*/c*", "Table 3", {"discriminator.slope": 0.1, "discriminator.top_size": 1}),
    *(
        (pattern, source, values)
        for pattern in ("bssn/base/cnn*", "bssn/table6/*", "bssn/table1/c*", "bssn/table1/s*", "bssn/figure1[0345]/*")
        for source, values in (
            ("BSN no_gamma-CNN/config.py: batch_size", {"batch_total": 64, "fakes_per_step": 64}),
            ("BSN gan/op.py: conv2d, truncated_normal_initializer", {"discriminator.conv_init": "truncated"}),
            ("BSN gan/network.py: batch_norm()(linear(...))", {"generator.first_norm": "unit", "architecture": "cnn"}),
        )
    ),
    ("bssn/table1/[cs]*", "BSN no_gamma-CNN/config.py: test_config[:3]", adam(1e-4, 1e-4, 0.5, 0.999, 1)),
    ("bssn/table1/*", "BSN no_gamma-CNN/gan/gan.py: relu(1 +- D)", {"loss.kind": "hinge"}),
    ("bssn/table1/*_sn_*", "BSN gan/op.py: sn_mode SN", {"constraint.estimate": "matrix"}),
    ("bssn/table1/*_bsn_*", "BSN gan/op.py: sn_mode BSN", {"constraint.estimate": "bidirectional"}),
    ("bssn/table1/stl10*", "BSN no_gamma-CNN/config.py; appendix Q.1", {"steps": 800_000}),
    ("bssn/table1/c*", "BSN no_gamma-CNN/config.py; appendices P.1, R.1", {"steps": 400_000}),
    ("bssn/table1/*_sn_1.6", "appendices P.1, Q.1, R.1", {"constraint.scale": 1.6}),
    # Table 6: Table 7's settings, and each folder of the code
    ("bssn/table6/*_1", "Table 7, row 1; BSN config.py", adam(1e-4, 1e-4, 0.5, 0.9, 5) | {"steps": 400_000}),
    ("bssn/table6/*_2", "Table 7, row 2; BSN config.py", adam(1e-4, 1e-4, 0.5, 0.999, 1)),
    ("bssn/table6/*_3", "Table 7, row 3; BSN config.py", adam(2e-4, 2e-4, 0.5, 0.999, 1)),
    ("bssn/table6/*_4", "Table 7, row 4; BSN config.py", adam(1e-4, 2e-4, 0.5, 0.999, 1)),
    ("bssn/table6/*_5", "Table 7, row 5; BSN config.py", adam(2e-4, 1e-4, 0.5, 0.999, 1)),
    ("bssn/table6/c*", "BSN config.py; appendices P.1, R.1", {"steps": 400_000}),
    ("bssn/table6/stl10_*sn_[2-5]", "BSN no_gamma-CNN/config.py; appendix Q.1", {"steps": 800_000}),
    ("bssn/table6/stl10_*gamma_?", "appendix Q.1", {"steps": 400_000}),
    ("bssn/table6/*sn_[1-5]", "BSN no_gamma-CNN: gan.py", {"loss.kind": "hinge", "constraint.gradient_penalty": 0}),
    ("bssn/table6/*_gamma_?", "BSN {same,diff}_gamma-CNN/gan/gan.py: build_loss", {"loss.kind": "wasserstein"}),
    ("bssn/table6/*_gamma_?", "BSN config.py: d_gp_coe; appendix O", {"constraint.gradient_penalty": 10.0}),
    ("bssn/table6/*_gamma_?", "BSN network.py: scale_initial=1.0", {"constraint.gamma_start": "one"}),
    ("bssn/table6/*_gamma_?", "BSN op.py: biases * scale", {"constraint.gamma_biases": True}),
    ("bssn/table6/*_same_gamma_?", "BSN network.py: scale", {"constraint.gamma": "shared"}),
    ("bssn/table6/*_diff_gamma_?", "BSN network.py: scales", {"constraint.gamma": "per_layer"}),
    ("bssn/table6/*_bsn_*", "BSN op.py: sn_mode BSN", {"constraint.estimate": "bidirectional"}),
    ("bssn/table6/*[!b]sn_*", "BSN op.py: sn_mode SN", {"constraint.estimate": "matrix"}),
    # appendix K.1
    ("bssn/figure1[45]/*", "appendix K.1", {"steps": 400_000, "loss.kind": "hinge", "constraint.scale": 1.75}),
    ("bssn/figure1[45]/*", "appendix K.1", adam(1e-4, 1e-4, 0.5, 0.999, 1) | {"constraint.estimate": "operator"}),
    # MNIST and ImageNet
    ("bssn/base/mnist", "appendix J.1", adam(1e-3, 1e-3, 0.5, 0.999, 1) | {"batch_total": 64, "fakes_per_step": 64}),
    ("bssn/base/mnist", "Tables 4 and 5", {"architecture": "mnist"}),
    ("bssn/base/mnist", "Table 4", {"generator.latent_dim": 100, "generator.latent": "uniform"}),
    ("bssn/base/mnist", "appendix J.1: WGAN, 100 epochs of 60000 // 64", {"loss.kind": "wasserstein", "steps": 93_700}),
    ("bssn/base/mnist", "BSN gan/op.py", {"discriminator.conv_init": "truncated"}),
    ("bssn/*/*imagenet*", "BSN no_gamma-ResNet/config.py", adam(2e-4, 2e-4, 0.0, 0.9, 5) | {"steps": 500_000}),
    ("bssn/*/*imagenet*", "BSN no_gamma-ResNet/config.py: batch sizes", {"batch_total": 16, "fakes_per_step": 32}),
    (
        "bssn/*/*imagenet*",
        "BSN no_gamma-ResNet/gan/network.py: down_resnet",
        {"discriminator.hidden": "output", "discriminator.skip": "always", "discriminator.conv_init": "normal"},
    ),
    # Miyato et al. 2018
    *(
        (pattern, source, values)
        for pattern in ("sngan/base/cnn_*", "sngan/related/*", "cifar10_cnn")
        for source, values in (
            ("section 4; Table 3", {**NO_LABELS, "architecture": "cnn", "steps": 100_000, "decay_from": None}),
            ("GANLIB train.py: --batchsize", {"batch_total": 64, "fakes_per_step": 64}),
            ("GANLIB common/net.py: BatchNormalization(bottom_width ** 2 * ch)", {"generator.first_norm": "unit"}),
            ("GANLIB common/net.py: Chainer's eps", {"generator.norm_eps": 2e-5}),
            ("GANLIB common/net.py: Normal(0.02)", {"discriminator.conv_init": "normal"}),
            ("GANLIB common/dataset.py: ims * 2 - 1.0", {"data.dequantise": False}),
        )
    ),
    ("sngan/base/cnn_*", "section 4.1, equation 15", {"loss.kind": "non_saturating", "ema.decay": 0}),
    ("sngan/related/*", "section 4.1, equation 15", {"loss.kind": "non_saturating", "ema.decay": 0}),
    ("sngan/base/resnet_cifar10", "PROJECTION datasets/cifar10.py: uniform(0, 1 / 128)", {"data.dequantise": True}),
    ("sngan/base/imagenet_*", "PROJECTION datasets/imagenet.py: uniform(0, 1 / 128)", {"data.dequantise": True}),
    ("sngan/table7/cnn*", "Table 1, setting A, as in Table 2", adam(1e-4, 1e-4, 0.5, 0.9, 5)),
    ("sngan/table7/cnn*", "appendix E.1, D.4", {"loss.kind": "wasserstein", "constraint.gradient_penalty": 10.0}),
    ("sngan/related/*", "Table 1, setting C", adam(2e-4, 2e-4, 0.5, 0.999, 1) | {"constraint.kind": "none"}),
    ("sngan/related/spectral_reg*", "Yoshida and Miyato 2017, lambda", {"constraint.spectral_penalty": 0.01}),
    (
        "sngan/related/singular*",
        "Saito et al. 2017, section 4.2: to 1, every 5",
        {"constraint.singular_clip_every": 5, "constraint.singular_clip": 1.0},
    ),
    # PROJECTION configs/sn_cifar10_conditional.yml, whole
    ("cifar10_32_projection", "batchsize, iteration", {"batch_total": 64, "steps": 50_000}),
    ("cifar10_32_projection", "iteration_decay_start", {"decay_from": 0}),
    ("cifar10_32_projection", "generator", {"generator.latent_dim": 128, "generator.channels": 256, "num_classes": 10}),
    ("cifar10_32_projection", "discriminator", {"discriminator.head": "projection", "discriminator.channels": 128}),
    ("cifar10_32_projection", "adam, updater.n_dis", adam(2e-4, 2e-4, 0.0, 0.9, 5)),
    ("cifar10_32_projection", "updater", {"fakes_per_step": 128, "loss.kind": "hinge"}),
    ("cifar10_32_projection", "dataset; datasets/cifar10.py", {"data.dequantise": True, "resolution": 32}),
    ("cifar10_cnn", "Table 1, setting C; equation 17", adam(2e-4, 2e-4, 0.5, 0.999, 1) | {"loss.kind": "hinge"}),
    # Feng et al. 2019
    ("report/table1/[!s]*_A", "section 4, A", rates(1e-3, 1e-3, 0.5, 0.9)),
    ("report/table1/[!s]*_B", "section 4, B", rates(1e-3, 1e-3, 0.5, 0.999)),
    ("report/table1/[!s]*_C", "section 4, C", rates(2e-3, 2e-3, 0.5, 0.999)),
    ("report/table1/sngan_A", "section 4, A; section 3, TTUR", rates(1e-3, 4e-3, 0.5, 0.9)),
    ("report/table1/sngan_B", "section 4, B; section 3, TTUR", rates(1e-3, 4e-3, 0.5, 0.999)),
    ("report/table1/sngan_C", "section 4, C; section 3, TTUR", rates(2e-3, 8e-3, 0.5, 0.999)),
    ("report/*", "SNGAN common/net.py, GANLIB's", {"architecture": "cnn", "discriminator.conv_init": "normal"}),
    ("report/*[!n]_?", "GANLIB common/net.py: bn0", {"generator.first_norm": "unit"}),
    ("report/*sngan*", "GANLIB common/net.py: bn0", {"generator.first_norm": "unit"}),
    ("report/table1/began_*", "GANLIB began/: use_bn=False", {"generator.norm": "none"}),
    ("report/*", "SNGAN: no decay, no average", {"decay_from": None, "ema.decay": 0.0}),
    ("report/table1/[bls]*_[mn]*_?", "SNGAN dcgan_bn/updater.py: softplus", {"loss.kind": "non_saturating"}),
    ("report/*sngan*", "SNGAN_pytorch.ipynb: BCEWithLogitsLoss", {"loss.kind": "non_saturating"}),
    ("report/*sngan*", "SNGAN_pytorch.ipynb: no classes", NO_LABELS),
    ("report/table1/wgan_gp_*", "SNGAN WGAN_GP.py: losses", {**NO_LABELS, "loss.kind": "wasserstein"}),
    ("report/table1/wgan_gp_*", "SNGAN WGAN_GP.py", {"constraint.kind": "none", "constraint.gradient_penalty": 10.0}),
    ("report/*", "SNGAN main.py: batch_size; no labels", {"batch_total": 64, "fakes_per_step": 64, "num_classes": 0}),
    ("report/*", "SNGAN dataloader.py: ToTensor, Normalize(0.5, 0.5)", {"data.dequantise": False}),
    ("report/table1/began_*", "SNGAN BEGAN.py: gamma, lambda_", {"loss.diversity": 1.0, "loss.balance_rate": 0.001}),
    ("report/table1/ebgan_*", "SNGAN EBGAN.py: margin", {"loss.margin": 1.0, "discriminator.error": "l2"}),
    ("report/table1/wgan_gp_*", "SNGAN WGAN_GP.py: n_critic, lambda_", {"d_updates_per_step": 5, "steps": 46_860}),
    ("report/table1/[!w]*", "300 epochs of 50000 // 64 updates", {"d_updates_per_step": 1, "steps": 234_300}),
    ("report/*sngan*", "section 3", {"constraint_g.kind": "spectral", "discriminator.slope": 0.02}),
    ("report/figure1/*", "section 3: 128 px", {"resolution": 128}),
    ("report/figure1/*", "Figure 1: 200,000 iterations", {"steps": 200_000}),
    ("report/figure1/*", "SNGAN_pytorch.ipynb: betas, one update of each", adam(1e-3, 4e-3, 0, 0.9, 1)),
    ("report/figure1/*", "SNGAN_pytorch.ipynb: noise_size", {"generator.latent_dim": 100}),
]  # fmt: skip
# Every key that sets one of these apart from the defaults is in the table; that of the data is a place.
WHOLE = (
    *(f"bssn/table6/{data}_{m}_{gamma}_gamma_{i}" for data in ("cifar10", "stl10", "celeba") for m in ("sn", "bsn")
      for gamma in ("same", "diff") for i in range(1, 6)),
    *("bssn/table6/stl10_sn_2", "bssn/table1/celeba_bsn_1", "bssn/table1/imagenet_bsn_1", "bssn/base/mnist"),
    *("sngan/base/cnn_cifar10", "sngan/base/cnn_stl10", "cifar10_32_projection", "cifar10_cnn"),
    *("report/table1/wgan_gp_A", "report/table1/sngan_C", "report/figure1/sngan"),
    *("sngan/related/spectral_regularisation", "sngan/related/singular_value_clipping"),
)  # fmt: skip
PLACE = {"data.path", "resolution"}


@functools.cache
def resolved(name: str) -> dict[str, Any]:
    return flat(config_to_dict(load_config(name)))


def flat(values: dict[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{at}{key}.") if isinstance(value, dict) else {at + key: value}
    return found


@pytest.mark.parametrize(("pattern", "source", "values"), SOURCES, ids=[f"{s[0]}: {s[1]}" for s in SOURCES])
def test_presets_hold_what_their_sources_do(pattern: str, source: str, values: dict[str, Any]) -> None:
    names = [name for name in preset_names() if fnmatchcase(name, pattern)]
    assert names, source
    for name in names:
        found = resolved(name)
        assert {key: found[key] for key in values} == values, f"{name}, {source}"


def test_no_key_is_without_a_source() -> None:
    defaults = flat(config_to_dict(TrainConfig()))
    for name in WHOLE:
        set_apart = {key for key, value in resolved(name).items() if value != defaults[key]}
        # of these networks, which are the published ones, the width follows from the architecture
        sourced = {key for pattern, _, values in SOURCES if fnmatchcase(name, pattern) for key in values}
        assert set_apart - PLACE <= sourced | {"generator.channels", "discriminator.channels"}, name


def test_sixty_rows_say_which_code_they_follow() -> None:
    names = [name for name in preset_names() if fnmatchcase(name, "bssn/table6/*_gamma_?")]
    assert len(names) == 60
    for name in names:
        words = " ".join(" ".join(preset_notes(name)).split())
        folder = "same_gamma-CNN/gan" if "_same_" in name else "diff_gamma-CNN/gan"
        assert f"{folder} of fjxmlzn/BSN is followed: the Wasserstein loss" in words
        assert ("config.py of fjxmlzn/BSN gives them to all" in words) == ("stl10" in name and not name.endswith("_1"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar10_32_projection", "configs/sn_cifar10_conditional.yml"),
        ("sngan/table7/cnn", "Appendix E.1 names no optimiser"),
        ("sngan/table8/spectral_norm", "Gamma starts so that the weights are unchanged"),
        ("bssn/table1/imagenet_sn_1", "reducing averages, which its OpenCV does not"),
        ("bssn/table1/celeba_sn_1", "--filter box"),
        ("bssn/figure3/draw_1", "Its code is not published"),
        ("report/table1/sngan_B", "SNGAN_pytorch.ipynb has batch norm in D"),
        ("report/figure1/sngan", "the standard loss, since D's begins near 2 ln 2"),
        ("sngan/related/spectral_regularisation", "Not run in the paper"),
    ],
)
def test_rows_say_what_is_open_and_what_they_follow(name: str, words: str) -> None:
    assert words in " ".join(" ".join(preset_notes(name)).split())
