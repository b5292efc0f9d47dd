"""Exported files, run by other programs than the package, against the generator."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sngan_cond import ConstraintConfig, Generator, GeneratorConfig, build_constraint, export
from sngan_cond.cli import main
from sngan_cond.export import export_onnx, export_program
from tests.command_line import build, save_conditional
from tests.processes import output_of
from tests.refusals import refused, refused_command

# float32 sums in another order: 1e-5 was measured; float16 keeps 11 bits, and 4e-2 was measured.
TOLERANCE = {False: 1e-4, True: 0.1}


def tiny(architecture: str = "resnet", side: int = 32, classes: int = 3) -> Generator:
    """A generator whose classes, channels and statistics all differ."""
    torch.manual_seed(0)
    G = Generator(
        GeneratorConfig(
            resolution=side, num_classes=classes, architecture=architecture, channels=4, latent_dim=5, latent="uniform"
        )
    )
    for module in G.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)  # as built, some make grey
        if hasattr(module, "gain"):
            nn.init.normal_(module.gain, 1, 0.5)
            nn.init.normal_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return G.eval()


def drawn(G: Generator, count: int, *, weights: bool = False) -> tuple[Tensor, ...]:
    z, classes = torch.rand(count, G.config.latent_dim) * 2 - 1, G.config.num_classes
    if not classes:
        return (z,)
    return z, torch.rand(count, classes).softmax(1) if weights else torch.randint(classes, (count,))


def check(found: Tensor, G: Generator, given: tuple[Tensor, ...], *, half: bool = False) -> None:
    with torch.no_grad():
        expected = G(*given)
    assert expected.std() > 0.1  # images that say something
    torch.testing.assert_close(found, expected, atol=TOLERANCE[half], rtol=0)


def onnx_session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run_onnx(path: Path, given: tuple[Tensor, ...]) -> Tensor:
    fed = {name: tensor.numpy() for name, tensor in zip("zy", given, strict=False)}
    (images,) = onnx_session(path).run(["images"], fed)
    return torch.from_numpy(images)


ARCHITECTURES = [("resnet", 48, 3, False), ("cnn", 16, 3, True), ("dcgan", 16, 3, False), ("mnist", 28, 0, False)]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "side", "classes", "weights"), ARCHITECTURES)
def test_onnxruntime_makes_the_models_images(
    architecture: str, side: int, classes: int, weights: bool, tmp_path: Path
) -> None:
    G, path = tiny(architecture, side, classes), tmp_path / "new" / "model.onnx"
    worst = export_onnx(G, path, inputs="weights" if weights else "labels")
    assert 0 < worst < TOLERANCE[False]
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    for count in (1, 4):
        given = drawn(G, count, weights=weights)
        check(run_onnx(path, given), G, given)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "side", "classes", "weights"), ARCHITECTURES)
def test_programs_of_pytorch_make_the_models_images(
    architecture: str, side: int, classes: int, weights: bool, tmp_path: Path
) -> None:
    G, path = tiny(architecture, side, classes), tmp_path / "model.pt2"
    half = architecture in ("dcgan", "mnist")
    export_program(G, path, half, inputs="weights" if weights else "labels")
    program = torch.export.load(path)
    for count in (1, 4):
        given = drawn(G, count, weights=weights)
        check(program.module()(*given), G, given, half=half)
    operators = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert {target.namespace for target in operators} == {"aten"}  # no kernel of ours, which others have not
    assert all("stack_trace" not in node.meta for node in program.graph.nodes)


@pytest.mark.slow
def test_the_command_writes_half_onnx_that_says_what_it_holds(tmp_path: Path) -> None:
    """The file alone is enough to label images: names, shapes, types and the configuration are in it."""
    model, full, half = tmp_path / "crane", tmp_path / "full.onnx", tmp_path / "half.onnx"
    save_conditional(model)
    G = build(4)
    arguments = ["export", "--model", model, "--to", "onnx", "--inputs", "weights", "--out"]
    said = output_of(main, *arguments, half, "--half")
    assert said.startswith(f"{half}: generator, resnet, 32 px, 4 classes, ")
    assert "float16" in said
    assert said.endswith(" (0.1 is allowed)\n")
    output_of(main, *arguments, full)
    assert half.stat().st_size < full.stat().st_size
    session = onnx_session(half)
    assert [(arg.name, arg.type, arg.shape) for arg in (*session.get_inputs(), *session.get_outputs())] == [
        ("z", "tensor(float)", ["batch", 8]),
        ("y", "tensor(float)", ["batch", 4]),
        ("images", "tensor(float)", ["batch", 3, 32, 32]),
    ]
    facts = session.get_modelmeta().custom_metadata_map
    assert (json.loads(facts["config"]), facts["source"]) == (G.config.to_dict(), "crane")
    assert json.loads(facts["class_names"]) == list(G.config.class_names)
    assert str(Path(export.__file__).parent).encode() not in full.read_bytes()
    given = drawn(G, 2, weights=True)
    check(run_onnx(half, given), G, given, half=True)


@pytest.mark.slow
def test_a_generator_in_training_is_exported_in_inference_and_left_as_it_is(tmp_path: Path) -> None:
    """Constrained, wrapped, in half, under autocast: the file is of its weights in inference, and G keeps all of it."""
    G, path = tiny(), tmp_path / "model.pt2"
    build_constraint(ConstraintConfig(kind="weight")).attach(G)
    given = drawn(G.half().train(), 3)
    expected = copy.deepcopy(G).float().eval()(*given)
    before = {name: tensor.clone() for name, tensor in G.state_dict().items()}
    with torch.autocast("cpu", torch.bfloat16):
        export_program(nn.DataParallel(G), path)
    torch.testing.assert_close(torch.export.load(path).module()(*given), expected, atol=TOLERANCE[False], rtol=0)
    assert G.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in G.state_dict().items())


@pytest.mark.parametrize(
    ("error", "half", "words"),
    [
        (0.01, False, "by 0.01; at most 0.001 is allowed"),
        (0.5, True, "by 0.5; at most 0.1 is allowed; this model needs float32"),
        (np.nan, False, "by inf"),
    ],
)
def test_no_file_appears_whose_images_differ(
    error: float, half: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    G, path = tiny(classes=0), tmp_path / "model.pt2"
    path.write_text("an older file")

    def write(*given: Any) -> Any:
        given[-1].write_bytes(b"some")
        return lambda batch: G(*batch).detach() + error

    monkeypatch.setattr(export, "_write_program", write)
    refused(lambda: export_program(G, path, half), f"{path}: not written", words)
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "an older file")]


def test_refuses_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    G, path = tiny(), tmp_path / "model.pt2"
    refused(lambda: export_program(G, tmp_path / "model.onnx"), "model.onnx'", "a file ending in .pt2 is allowed")
    refused(lambda: export_program(G, tmp_path), "a file ending in .pt2 is allowed")
    arguments = ["export", "--model", "no/model", "--to", "torch-export", "-o", tmp_path / "model.onnx"]
    refused_command(main, arguments, "a file ending in .pt2 is allowed")  # before a model is looked for
    refused(lambda: export_program(G, path, inputs="both"), "inputs='both'", "labels, weights")
    refused(lambda: export_program(tiny(classes=0), path, inputs="weights"), "inputs='weights'", "without classes")
    refused(lambda: export_program(nn.Linear(2, 2), path), "a Generator")
    with torch.no_grad():
        G.network.linear.bias.fill_(torch.nan)
    refused(lambda: export_program(G, path), "own images are not finite")
    there = ["onnx"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there or None)
    words = "export to ONNX needs onnxscript, onnxruntime: pip install onnx onnxscript onnxruntime"
    refused_command(main, ["export", "--model", "bundled", "--to", "onnx", "-o", path], words)
    there += ["onnxscript", "onnxruntime"]
    monkeypatch.setattr(export, "MAX_ONNX_BYTES", 2_000)
    refused(lambda: export_onnx(tiny(), path.with_suffix(".onnx")), "an ONNX file holds up to 2,000")
    assert list(tmp_path.iterdir()) == []
