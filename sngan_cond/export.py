"""A generator as one file for other programs: ONNX, or PyTorch's own exported program.

Either takes batches of any size: `z` (batch, latent_dim) float32 and, of a model with classes, `y`, which is (batch,)
int64 labels or (batch, K) float32 class weights. It gives `images` (batch, 3, R, R) float32 in [-1, 1]. What labels
mean is in the file too: `config` and `class_names`, both JSON, and `source` are ONNX's metadata or extra files of a
program. A file appears once its images were compared with the model's.
"""

import contextlib
import copy
import importlib.util
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sngan_cond.atomic import atomic_file
from sngan_cond.config import GeneratorConfig
from sngan_cond.constraints.fold import fold
from sngan_cond.fast import set_backend
from sngan_cond.fast.resampling import transposed_kernel
from sngan_cond.inputs import generator_in
from sngan_cond.latents import draw_latents
from sngan_cond.networks.generator import Generator
from sngan_cond.networks.layers import UpsampleConv2d
from sngan_cond.validation import check

ClassInput = Literal["labels", "weights"]
CHECKED_BATCHES = (1, 3)  # neither is the batch that is traced
OPSET = 20  # the newest whose operators TensorRT 10 and onnxruntime-web have, too
MAX_ONNX_BYTES = 2**31 - 2**20  # protobuf's limit for one file, less what describes the graph
ONNX, PROGRAM = ".onnx", ".pt2"  # endings
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# By `half`, in the images' own unit, of which a byte's step is 1/127.5. float16 has 11 bits of mantissa, and networks
# add up what each layer rounds.
TOLERANCE = {False: 1e-3, True: 0.1}

_Run = Callable[[tuple[Tensor, ...]], Tensor]


def export_onnx(G: nn.Module, path: str | Path, half: bool = False, *, inputs: ClassInput = "labels") -> float:
    """Write a generator as ONNX, after onnxruntime gave the model's images on fresh latents at two batch sizes.

    Args:
        G: generator in any type, mode and wrapper, on any device, constrained or not; it is left as it is.
        path: file ending in .onnx; its folder is made.
        half: store weights and compute in float16; inputs and images stay float32.
        inputs: what `y` is: "labels" (batch,) int64 or "weights" (batch, K) float32; without classes there is none.
    Returns:
        The largest difference of an image's value from the model's in float32; at most 0.001, or 0.1 with `half`.
    Raises:
        ValueError: if an argument is not allowed, a package is missing, or the difference is larger.
    """
    return _export(G, path, ONNX, half, inputs, _write_onnx)


def export_program(G: nn.Module, path: str | Path, half: bool = False, *, inputs: ClassInput = "labels") -> float:
    """Write a generator as a program that `torch.export.load` reads, after it gave the model's images there.

    Args:
        G, half, inputs: as for `export_onnx`.
        path: file ending in .pt2; its folder is made.
    Returns:
        As `export_onnx` does.
    Raises:
        ValueError: if an argument is not allowed, or the difference is larger.
    """
    return _export(G, path, PROGRAM, half, inputs, _write_program)


def check_path(path: Path, suffix: str) -> None:
    """Refuse a path that a file of this suffix cannot have, and ONNX where a package is missing."""
    missing = [name for name in _PACKAGES if suffix == ONNX and importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"export to ONNX needs {', '.join(missing)}: pip install {' '.join(_PACKAGES)}")
    if path.suffix.lower() != suffix or path.is_dir():
        raise ValueError(f"path={str(path)!r}: a file ending in {suffix} is allowed")


class _Exported(nn.Module):
    """The network with inputs and images in float32, whatever it computes in."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z.to(self.dtype), y)
        return images.float()


def _export(
    G: nn.Module,
    path: str | Path,
    suffix: str,
    half: bool,
    inputs: ClassInput,
    write: Callable[[_Exported, tuple[Tensor, ...], dict[str, str], Path], _Run],
) -> float:
    """Check the arguments, let `write` make the file, and let it take its name if its images are the model's.

    Args:
        write: called with the network, example inputs, metadata and a path; returns what runs the file.
    """
    generator, path = generator_in(G), Path(path)
    config = generator.config
    check_path(path, suffix)
    check("inputs", inputs, ClassInput)
    if inputs == "weights" and not config.num_classes:
        raise ValueError("inputs='weights': a generator without classes takes latents only; leave inputs out")
    model = _plain_copy(generator)
    rng = torch.Generator().manual_seed(0)
    batches = [_draw_inputs(config, inputs, count, rng) for count in CHECKED_BATCHES]
    in_its_type = torch.autocast("cpu", enabled=False)  # a caller's would be traced
    with torch.inference_mode(), in_its_type:
        expected = [model(*batch) for batch in batches]
    if not all(images.isfinite().all() for images in expected):
        raise ValueError("the generator's own images are not finite, so no file can be compared with them")
    _freeze(model)
    dtype = torch.float16 if half else torch.float32
    example = _draw_inputs(config, inputs, 2, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as draft, in_its_type:
        run = write(_Exported(model.network, dtype).eval(), example, _metadata(generator), draft)
        found = [run(batch) for batch in batches]
        worst = max(_difference(*pair) for pair in zip(found, expected, strict=True))
        if worst > TOLERANCE[half]:
            hint = "; this model needs float32" if half else ""
            raise ValueError(
                f"{path}: not written, as its images differ from the model's by {worst:.2g}; at most "
                f"{TOLERANCE[half]} is allowed{hint}"
            )
    return worst


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference; infinite where shapes or types differ, or a value is not finite."""
    if found.shape != expected.shape or found.dtype != expected.dtype or not found.isfinite().all():
        return float("inf")
    return float((found - expected).abs().max())


def _plain_copy(G: Generator) -> Generator:
    """Copy a generator to the CPU, in float32, in eval mode, with its constraint folded into the weights."""
    model = copy.deepcopy(G).cpu().float().eval().requires_grad_(False)
    fold(model)
    return model.eval()


def _freeze(model: Generator) -> None:
    """Join upsampling and 3x3 convolutions once, as the weights will not change; in place."""
    set_backend(model, "strided")  # of what remains, the 1x1 convolutions: at the lower resolution
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, UpsampleConv2d) and layer.kernel_size == (3, 3):
                joined = nn.ConvTranspose2d(
                    layer.in_channels, layer.out_channels, 4, stride=2, padding=1, device="meta"
                )
                joined.weight = nn.Parameter(transposed_kernel(layer.weight).contiguous(), requires_grad=False)
                joined.bias = layer.bias
                setattr(module, name, joined)


def _draw_inputs(config: GeneratorConfig, inputs: ClassInput, count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    z = draw_latents(count, config.latent_dim, rng=rng, latent=config.latent)
    if not config.num_classes:
        return (z,)
    if inputs == "labels":
        return z, torch.randint(config.num_classes, (count,), generator=rng)
    return z, torch.softmax(4 * torch.randn(count, config.num_classes, generator=rng), dim=1)


def _metadata(G: Generator) -> dict[str, str]:
    """Return what a file says about its model; class names and source only where they are known."""
    facts = {"config": json.dumps(G.config.to_dict())}
    if G.config.class_names is not None:
        facts["class_names"] = json.dumps(G.config.class_names)
    if G.provenance is not None:
        facts["source"] = G.provenance.public_name
    return facts


def _write_onnx(network: _Exported, example: tuple[Tensor, ...], facts: dict[str, str], path: Path) -> _Run:
    stored = sum(parameter.nbytes for parameter in network.parameters())
    if stored > MAX_ONNX_BYTES:
        raise ValueError(f"{stored:,} bytes of weights: an ONNX file holds up to {MAX_ONNX_BYTES:,}; try half, or .pt2")
    import onnxruntime

    names = ["z", "y"][: len(example)]
    # One name for the batch: the exporter warns of a second, and finds by itself that both inputs share it.
    shapes: list[Any] = [{0: "batch"}, {0: torch.export.Dim.DYNAMIC}][: len(example)]
    with _silent_logs():
        program = torch.onnx.export(
            network,
            example,
            input_names=names,
            output_names=["images"],
            opset_version=OPSET,
            dynamic_shapes=tuple(shapes),
            verbose=False,
        )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # where in which files of this machine each operation was called
    program.model.metadata_props.update(facts)
    program.save(path, external_data=False)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: it warns of devices that a machine has not
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(batch: tuple[Tensor, ...]) -> Tensor:
        fed = {name: given.numpy() for name, given in zip(names, batch, strict=True)}
        return torch.from_numpy(session.run(["images"], fed)[0])

    return run


@contextlib.contextmanager
def _silent_logs() -> Iterator[None]:
    """Leave warnings out of the log: PyTorch's exporter has some where torchvision is missing, which nothing needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _write_program(network: _Exported, example: tuple[Tensor, ...], facts: dict[str, str], path: Path) -> _Run:
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, example, dynamic_shapes=({0: batch},) * len(example))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # as above
    # By open files: a path's name would be the archive's, and must end in .pt2.
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files=facts)
    with path.open("rb") as written:
        module = torch.export.load(written).module()

    def run(batch: tuple[Tensor, ...]) -> Tensor:
        with torch.inference_mode():
            images: Tensor = module(*batch)
        return images

    return run
