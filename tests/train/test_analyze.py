"""The command, its figures and its numbers: those of an SVD of what a run has saved."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from tests.processes import output_of, python
from tests.refusals import refused_command
from tests.train.analysis.pages import read_page
from train.analysis.figures import layer_marks
from train.analysis.measure import decompose, measure_run, read_curves, squared_singular_values
from train.analyze import labelled, main

IMAGES = ("learning_curves.png", "singular_values.png", "spectral_norms.png")
REPORT = "report.html"


@pytest.fixture(scope="module")
def drawn(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's figures and numbers."""
    out = tmp_path_factory.mktemp("figures") / "new/folder"
    analyze(finished, out)
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "b$_$"))  # no mathematics


def analyze(run_dir: Path, out: Path, *more: str) -> dict[str, dict]:
    assert main(["--run-dir", str(run_dir), "--out", str(out), *more]) == 0
    return json.loads((out / "analysis.json").read_text())


def by_hand(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """One round of Algorithm 1 of Miyato et al. 2018: sigma and the normalised matrix."""
    W = weight.double().flatten(1)
    v = torch.nn.functional.normalize(W.T @ u.double(), dim=0)
    sigma = torch.nn.functional.normalize(W @ v, dim=0) @ W @ v
    return sigma, W / sigma


@pytest.mark.slow
def test_spectral_numbers_are_those_of_an_svd_of_the_saved_tensors(finished: Path, drawn: Path) -> None:
    found = json.loads((drawn / "analysis.json").read_text())["a"]
    assert [(kept["step"], kept["images_seen"]) for kept in found["spectral_norms"]] == [(2, 32), (4, 64), (6, 96)]
    middle = ".parametrizations.weight."
    for kept in found["spectral_norms"]:
        tensors = load_file(finished / f"checkpoints/step-{kept['step']:08d}/discriminator.safetensors")
        names = [key.removesuffix(f"{middle}0.u") for key in tensors if key.endswith(".u")]
        assert sorted(names) == sorted(kept["layers"])
        assert len(names) == 12
        for name in names:
            raw = tensors[f"{name}{middle}original"]
            sigma, effective = by_hand(raw, tensors[f"{name}{middle}0.u"])
            singular = torch.linalg.svdvals(effective)
            layer = kept["layers"][name]
            # float64 throughout, and 1e-12 is added to each norm of the power iteration: far below 1e-9
            assert layer["effective"] == pytest.approx(float(singular[0]), rel=1e-9)
            assert layer["power_iteration"] == pytest.approx(float(sigma), rel=1e-9)
            assert layer["raw"] == pytest.approx(float(torch.linalg.svdvals(raw.double().flatten(1))[0]), rel=1e-9)
            if kept["step"] == 6:
                squared = (singular / singular[0]).square().tolist()
                assert found["squared_singular_values"][name] == pytest.approx(squared, abs=1e-12)


def test_curves_are_the_log_and_the_figures_are_images(finished: Path, drawn: Path) -> None:
    curves = json.loads((drawn / "analysis.json").read_text())["a"]["curves"]
    log = [json.loads(line) for line in (finished / "scalars.jsonl").read_text().splitlines()]
    assert len(log) == 6
    names = {"images_per_second", "d/loss", "d/score_fake", "d/score_real", "d/score_spread", "g/loss", "g/score_fake"}
    names |= {"d/gradient_norm", "g/gradient_norm"}
    assert set(curves) == names  # the totals are the losses here, and are left out
    for name, curve in curves.items():
        assert curve == {"images_seen": [16, 32, 48, 64, 80, 96], "values": [line[name] for line in log]}
    assert sorted(path.name for path in drawn.iterdir()) == sorted((*IMAGES, REPORT, "analysis.json"))
    for name in IMAGES:
        with Image.open(drawn / name) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 500
            assert len(np.unique(np.asarray(image.convert("L")))) > 20  # shades: not blank
    page = read_page(drawn / REPORT)
    pictures = [picture for figure in page.all("figure", "drawn") for picture in figure.all("img")]
    assert [picture.content() for picture in pictures] == [(drawn / name).read_bytes() for name in IMAGES]
    assert all("real images seen" in pictures[i].attributes["alt"] for i in (0, 2))
    assert "12 layers" in pictures[1].attributes["alt"]


@pytest.mark.slow
def test_several_runs_share_the_figures(finished: Path, copied: Path, drawn: Path, tmp_path: Path) -> None:
    shutil.rmtree(copied / "checkpoints/step-00000006")
    with (copied / "scalars.jsonl").open("a") as file:
        file.write('{"step": 7, "images_seen": 112, "d/loss": Infinity, "g/loss": NaN}\n')
        file.write('{"step": 7, "images_seen": 112, "ema/fid": 9.5, "generator/fid": 11.0, "monitor/diversity": 0.5}\n')
    alone = json.loads((drawn / "analysis.json").read_text())
    both = analyze(finished, tmp_path / "both", "--compare", str(copied))
    assert list(both) == ["a", "b$_$"]
    assert both["a"] == alone["a"]
    assert [kept["step"] for kept in both["b$_$"]["spectral_norms"]] == [2, 4]
    assert both["b$_$"]["squared_singular_values"] != both["a"]["squared_singular_values"]
    for name in ("d/loss", "g/loss"):  # what is not finite becomes a gap
        assert both["b$_$"]["curves"][name]["values"] == [*both["a"]["curves"][name]["values"], None]
        assert both["b$_$"]["curves"][name]["images_seen"] == [16, 32, 48, 64, 80, 96, 112]
    for name in IMAGES:
        assert (tmp_path / "both" / name).read_bytes() != (drawn / name).read_bytes()
    more = {"scores.png", "health.png"}
    assert {path.name for path in (tmp_path / "both").iterdir()} == {*IMAGES, REPORT, "analysis.json", *more}
    titles = [heading.text for heading in read_page(tmp_path / "both" / REPORT).all("h3")]
    figures = ["Learning curves", "Scores during the run", "Measured by the monitor"]
    assert [title for title in titles if title in figures] == figures


def test_a_layer_keeps_its_colour_and_mark(finished: Path) -> None:
    """Also beside a run that has other layers, and one of each name."""
    run = measure_run(finished, "--run-dir")
    kept = run.spectral_norms[0]
    names = list(kept.layers)
    fewer = replace(run, spectral_norms=[replace(kept, layers={n: kept.layers[n] for n in [*names[6:], names[0]]})])
    marks = layer_marks([run])
    assert list(marks) == names
    assert marks == layer_marks([run, fewer])
    assert len({mark["color"] for mark in marks.values()}) == len(names)


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    one, other = tmp_path / "x/run", tmp_path / "y/run"
    assert labelled([one, other]) == {str(one): one, str(other): other}
    assert labelled([one, tmp_path / "z"]) == {"run": one, "z": tmp_path / "z"}


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "none"},
        {"kind": "frobenius"},
        {"kind": "weight", "gamma": "per_row"},
        {"kind": "spectral", "scale": 1.2},
        {"kind": "spectral", "gamma": "shared"},
        {"kind": "spectral", "estimate": "bidirectional"},
        {"kind": "spectral", "estimate": "operator"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_any_constraint_is_measured_as_it_acts_and_left_as_it_was(settings: dict[str, object]) -> None:
    torch.manual_seed(3)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=5))
    build_constraint(ConstraintConfig(**settings)).attach(D)
    D.double().eval()
    before = {key: tensor.clone() for key, tensor in D.state_dict().items()}
    norms, squared = decompose(D)
    after = D.state_dict()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    for name, norm in norms.items():
        layer = D.get_submodule(name)
        weight = layer.weight.detach()  # one use, which for a linear layer moves its power iteration
        singular = torch.linalg.svdvals(weight.flatten(1))
        assert norm.effective == pytest.approx(float(singular[0]), rel=1e-9)
        assert squared[name].tolist() == pytest.approx(singular.square().tolist(), abs=1e-12 * float(singular[0]) ** 2)
        assert (norm.power_iteration is None) == (settings["kind"] != "spectral")
        if norm.power_iteration is not None and settings.get("gamma") is None:
            gain = float(settings.get("scale", 1.0))  # type: ignore[arg-type]
            assert norm.effective * norm.power_iteration == pytest.approx(gain * norm.raw, rel=1e-9)


@pytest.mark.parametrize("shape", [(7, 31), (31, 7), (1, 5)])
def test_squared_singular_values_are_those_of_an_svd(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.linalg.svdvals(matrix).square()
    torch.testing.assert_close(squared_singular_values(matrix), expected, rtol=1e-11, atol=0)


def test_a_damaged_checkpoint_is_named_and_skipped(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "checkpoints/step-00000006/discriminator.safetensors").write_bytes(b"cut")
    assert [kept.step for kept in measure_run(copied, "--run-dir").spectral_norms] == [2, 4]
    (warning,) = capsys.readouterr().err.splitlines()
    assert "step-00000006: damaged checkpoint skipped" in warning


def test_a_last_line_that_is_being_written_is_left_out(copied: Path) -> None:
    log = copied / "scalars.jsonl"
    before = read_curves(log)
    with log.open("a") as file:
        file.write('{"step": 7, "images_seen": 112, "d/lo')
    assert read_curves(log) == before
    assert before["d/loss"].images_seen[-1] == 96


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": 7}', '{"step": 7, "images_seen": null}', ""])
def test_a_damaged_line_is_named(copied: Path, tmp_path: Path, line: str) -> None:
    log = copied / "scalars.jsonl"
    log.write_text(f"{log.read_text()}{line}\n{{}}\n")
    refused_command(
        main, ["--run-dir", copied, "--out", tmp_path / "out"], f"error: {log}: line 7 is damaged: {line!r}"
    )
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_is_one_line(copied: Path, tmp_path: Path) -> None:
    out, missing = ("--out", tmp_path / "out"), tmp_path / "none"
    for flag, *before in (["--run-dir"], ["--compare", "--run-dir", copied]):
        refused_command(
            main, [*before, flag, missing, *out], f"error: {flag} {missing}: no run there (it has no config.yaml)"
        )
    shutil.rmtree(copied / "checkpoints")
    refused_command(main, ["--run-dir", copied, *out], "b$_$: no whole checkpoint there yet")
    (copied / "scalars.jsonl").unlink()
    refused_command(main, ["--run-dir", copied, *out], "nothing is logged there yet")
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_does_not_fit_is_one_line(copied: Path, tmp_path: Path) -> None:
    config = copied / "config.yaml"
    config.write_text(config.read_text().replace("kind: spectral", "kind: weight"))
    message = refused_command(main, ["--run-dir", copied, "--out", tmp_path / "out"])
    assert message == f"error: {copied}/checkpoints/step-00000006: does not fit the run's config.yaml"


def test_repeated_or_too_many_runs_are_one_line(finished: Path, tmp_path: Path) -> None:
    start = ["--run-dir", finished, "--out", tmp_path / "out", "--compare"]
    refused_command(main, [*start, f"{finished}/../a"], "given already")
    many = [tmp_path / str(i) for i in range(7)]
    refused_command(main, [*start, *many], "error: --compare: 7 runs given, at most 6 are allowed")


def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(finished: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "file", tmp_path / "out"
    file.write_text("mine")
    message = refused_command(main, ["--run-dir", finished, "--out", file])
    assert message == f"error: --out {file}: is a file; a folder, there or not yet, is allowed"
    assert file.read_text() == "mine"
    (out / IMAGES[0]).mkdir(parents=True)  # in the way of the first figure
    refused_command(main, ["--run-dir", finished, "--out", out], f"error: --out {out}: cannot be written (")
    assert [path.name for path in out.iterdir()] == [IMAGES[0]]


def test_a_missing_flag_is_one_line() -> None:
    assert refused_command(main, ["--run-dir", "a"]).endswith("required: --out (--help says more)")


def test_help_waits_for_neither_torch_nor_matplotlib() -> None:
    python("-c", "import sys, train.analyze; assert not {'torch', 'matplotlib', 'numpy'} & set(sys.modules)")


def test_help_names_what_is_written() -> None:
    text = output_of(main, "--help")
    assert all(word in text for word in (*IMAGES, REPORT, "analysis.json", "--run-dir", "--out", "--compare"))
