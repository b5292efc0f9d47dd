"""The tools of PyTorch x G and D x plain and native layers: values are those of the plain layers alone.

Where a tool records what is computed, it does so on other inputs than those that are compared.
"""

import copy
import functools
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize
from torch.utils.tensorboard import SummaryWriter

from sngan_cond.fast import choices, native
from sngan_cond.networks.layers import SameConv2d
from tests.sngan_cond.tools import (
    CLASSES,
    COMPARED,
    NETWORKS,
    SIZES,
    Inputs,
    build,
    cases,
    error_of,
    expected_of,
    inputs_of,
)

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels"),
    pytest.mark.filterwarnings("ignore"),  # tracers warn of Python's branches, and of each other
]


def traced(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    return torch.jit.trace(network, recorded, check_trace=False)(*inputs)


def frozen(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    return torch.jit.freeze(torch.jit.trace(network, recorded, check_tolerance=1e-3))(*inputs)


def recorded_by_make_fx(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    return make_fx(lambda x, y: network(x, y))(*recorded)(*inputs)


def recorded_by_make_fx_with_symbols(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    record = make_fx(lambda x, y: network(x, y), tracing_mode="symbolic", _allow_non_fake_inputs=True)
    return record(*recorded)(*inputs)


def symbolically_traced(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    return torch.fx.symbolic_trace(network)(*inputs)


def vmapped(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    return torch.func.vmap(lambda x, y: network(x[None], y[None])[0])(*inputs)


def copied(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    network(*recorded)
    return copy.deepcopy(network)(*inputs)


def pickled(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    network(*recorded)
    return pickle.loads(pickle.dumps(network))(*inputs)


def data_parallel(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    return nn.DataParallel(network)(*inputs)


def hooked(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    called = []
    modules = dict(network.named_modules())
    for name, module in modules.items():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    values = network(*inputs)
    # Lists of modules are not called, nor, in an embedding of labels, is anything but the whole.
    leaves = {name for name, module in modules.items() if not isinstance(module, nn.ModuleList | nn.ModuleDict)}
    assert {name for name in leaves if "parametrizations" not in name and not name.endswith(".norm")} <= set(called)
    return values


def in_inference_mode(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    with torch.inference_mode():
        return network(*inputs)


def profiled(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        values = network(*inputs)
    assert profile.key_averages()
    return values


def drawn_by_tensorboard(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            writer.add_graph(network, recorded)
        (file,) = Path(folder).iterdir()
        assert b"aten::" in file.read_bytes()
    return network(*inputs)


class Doubled(nn.Module):
    """A parametrisation of somebody else's."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / 2


def parametrised_by_others(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    for module in [module for module in network.modules() if isinstance(module, SameConv2d)]:
        if not parametrize.is_parametrized(module):
            parametrize.register_parametrization(module, "weight", Doubled())
    return network(*inputs)


class Labelled(Tensor):
    """A tensor of somebody else's."""


def on_a_subclass(network: nn.Module, _: Inputs, inputs: Inputs) -> Tensor:
    return network(inputs.x.as_subclass(Labelled), inputs.y).as_subclass(Tensor)


def exported(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, tuple(recorded), dynamic_shapes=({0: batch}, {0: batch}))
    for node in program.graph.nodes:  # a portable graph has no operators of ours
        assert "sngan_cond" not in str(node.target)
    seven = Inputs(*(torch.cat([t] * 4)[:7] for t in inputs))
    single, several = (program.module()(*some) for some in (Inputs(*(t[:1] for t in inputs)), seven))
    assert error_of([single], [several[:1]]) < 1e-5
    return several[: len(inputs.x)]


def exported_with_class_weights(network: nn.Module, recorded: Inputs, inputs: Inputs) -> Tensor:
    weights = [Inputs(x, nn.functional.one_hot(y, CLASSES).float()) for x, y in (recorded, inputs)]
    return exported(network, *weights)


VALUES = [
    traced,
    frozen,
    recorded_by_make_fx,
    recorded_by_make_fx_with_symbols,
    symbolically_traced,
    vmapped,
    copied,
    pickled,
    data_parallel,
    hooked,
    in_inference_mode,
    profiled,
    drawn_by_tensorboard,
    parametrised_by_others,
    on_a_subclass,
    exported,
]


# Measured: up to 1.4e-6, from roundings of 6e-8 in sums of up to 600 terms and some thirty layers.
@pytest.mark.parametrize(
    ("tool", "name", "backend"),
    [
        *cases(VALUES, [traced, vmapped, pickled]),
        *cases([exported_with_class_weights], [], NETWORKS[:2]),  # a discriminator takes labels only
    ],
)
def test_values(tool: Callable[..., Tensor], name: str, backend: str) -> None:
    values = tool(build(name, backend), inputs_of(name, 3), inputs_of(name, COMPARED))
    assert error_of([values], expected_of(name, "values")) < 1e-5


@pytest.mark.parametrize("kind", ["fake", "meta"])
@pytest.mark.parametrize("name", NETWORKS)
def test_tensors_without_memory_give_shapes(name: str, kind: str) -> None:
    network, inputs, mode = build(name, "auto"), inputs_of(name, COMPARED), FakeTensorMode()
    without_memory = mode.from_tensor if kind == "fake" else functools.partial(Tensor.to, device="meta")
    state = {key: without_memory(value) for key, value in network.state_dict().items()}
    x, y = map(without_memory, inputs)
    with mode if kind == "fake" else torch.device("meta"):
        values = functional_call(network, state, (x, y))
    assert values.shape == expected_of(name, "values")[0].shape


def test_the_networks_meet_every_form_of_a_cpu_and_the_native_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    met, ran = set(), []
    choose, run = choices.choose, native.run

    def noted(layer: choices.Layer, *args: Any, **options: Any) -> choices.Form:
        form = choose(layer, *args, **options)
        met.add((layer, form))
        return form

    monkeypatch.setattr(choices, "choose", noted)
    monkeypatch.setattr(native, "run", lambda name, *args: (ran.append(name), run(name, *args)))
    for name in SIZES:
        ran.clear()
        build(name, "auto")(*inputs_of(name, COMPARED))
        assert len(set(ran)) >= 3, name
        ran.clear()
        build(name, "plain")(*inputs_of(name, COMPARED))
        assert ran == []
    rows = ((layer, row.form) for (device, layer), rows in choices.CHOICES.items() if device == "cpu" for row in rows)
    assert met == set(rows)
