"""The tools of PyTorch x G and D x plain and native layers: gradients are those of the plain layers alone."""

import copy
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from sngan_cond.fast import native, set_backend
from sngan_cond.networks.layers import SameConv2d
from tests.sngan_cond.tools import (
    BACKENDS,
    COMPARED,
    Inputs,
    build,
    cases,
    error_of,
    expected_of,
    gradients_of,
    inputs_of,
    loss_of,
    penalty_of,
)

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels"),
    pytest.mark.filterwarnings("ignore"),  # tracers warn of Python's branches, and of each other
]

# To the gradients of the loss in x and in the parameters.


def _parameters(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def by_functions(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    def loss(x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return loss_of(functional_call(network, parameters, (x, y)))

    in_x, in_parameters = torch.func.grad(loss, argnums=(0, 1))(x, _parameters(network))
    return [in_x, *in_parameters.values()]


def of_each_image(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    def loss(x: Tensor, parameters: dict[str, Tensor], y: Tensor) -> Tensor:
        return loss_of(functional_call(network, parameters, (x[None], y[None])))

    gradients = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(0, None, 0))
    in_x, in_parameters = gradients(x, _parameters(network), y)
    return [in_x, *(gradient.sum(0) for gradient in in_parameters.values())]


def batched(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    x, parameters = x.requires_grad_(), list(network.parameters())
    scales = torch.tensor([1.0, -2.0])
    found = torch.autograd.grad(loss_of(network(x, y)), [x, *parameters], scales, is_grads_batched=True)
    assert error_of([gradient[1] for gradient in found], [-2 * gradient[0] for gradient in found]) < 1e-5
    return [gradient[0] for gradient in found]


def checkpointed(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    return gradients_of(functools.partial(checkpoint, network, use_reentrant=False), network.parameters(), x, y)


def through_hooks(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    called = []
    for module in network.modules():
        module.register_full_backward_hook(lambda module, *_: called.append(module))
    gradients = gradients_of(network, network.parameters(), x, y)
    assert {module for module in network.modules() if isinstance(module, SameConv2d)} <= set(called)
    return gradients


def backward_by_make_fx(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    def gradients(x: Tensor, parameters: dict[str, Tensor]) -> list[Tensor]:
        parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        return gradients_of(lambda *args: functional_call(network, parameters, args), parameters.values(), x, y)

    return make_fx(gradients)(x + 1, _parameters(network))(x, _parameters(network))


def backward_alone_by_make_fx(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    x, parameters = x.requires_grad_(), list(network.parameters())
    out = network(x, y)
    end = out.detach().requires_grad_()
    (grad,) = torch.autograd.grad(loss_of(end), end)
    record = make_fx(lambda grad: torch.autograd.grad(out, [x, *parameters], grad, retain_graph=True))
    return record(grad + 1)(grad)


def channels_last(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    return gradients_of(network, network.parameters(), x, y)


def in_float64(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    return gradients_of(network.double(), network.parameters(), x.double(), y)


def counted(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    plain, counts = copy.deepcopy(network), []
    set_backend(plain, "plain")
    for form in (plain, network):
        x = x.detach().requires_grad_()
        with FlopCounterMode(display=False) as counter:
            loss_of(form(x, y)).backward()
        counts.append(counter.get_total_flops())
    assert 0.2 < counts[1] / counts[0] <= 1  # 9 products of 36 at best
    return [tensor.grad for tensor in (x, *network.parameters())]


def in_threads(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    found: list[list[Tensor]] = []
    threads = [
        threading.Thread(target=lambda: found.append(gradients_of(network, network.parameters(), x, y)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(error_of(gradients, found[0]) < 1e-5 for gradients in found)
    return found[3]


GRADIENTS = [
    by_functions,
    of_each_image,
    batched,
    checkpointed,
    through_hooks,
    backward_by_make_fx,
    backward_alone_by_make_fx,
    channels_last,
    in_float64,
    counted,
    in_threads,
]


# --- gradients of a gradient penalty: (network, parameters, x, y) to those of |d _loss / dx|^2 in the parameters


def penalty(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    return penalty_of(network, list(network.parameters()), x, y)


def penalty_by_functions(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    def loss(parameters: dict[str, Tensor]) -> Tensor:
        gradient = torch.func.grad(lambda x: loss_of(functional_call(network, parameters, (x, y))))(x)
        return gradient.square().sum()

    return list(torch.func.grad(loss)(_parameters(network)).values())


def penalty_checkpointed(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    again = functools.partial(checkpoint, network, use_reentrant=False)
    return penalty_of(again, list(network.parameters()), x, y)


def penalty_batched(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    """Batched first, then differentiated."""
    x, parameters = x.requires_grad_(), list(network.parameters())
    scales = torch.tensor([1.0, 3.0])
    (first,) = torch.autograd.grad(loss_of(network(x, y)), x, scales, is_grads_batched=True, create_graph=True)
    return list(torch.autograd.grad(first[0].square().sum(), parameters, allow_unused=True, materialize_grads=True))


def penalty_in_batches(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    """Differentiated first, then batched."""
    x, parameters = x.requires_grad_(), list(network.parameters())
    (first,) = torch.autograd.grad(loss_of(network(x, y)), x, create_graph=True)
    found = torch.autograd.grad(
        first.square().sum(),
        parameters,
        torch.tensor([1.0, 3.0]),
        is_grads_batched=True,
        allow_unused=True,
        materialize_grads=True,
    )
    return [gradient[0] for gradient in found]


PENALTIES = [penalty, penalty_by_functions, penalty_checkpointed, penalty_batched, penalty_in_batches]


# Measured: up to 7e-4, in float64 too. Where a value lies within a rounding of 0, ReLU's gradient is another: it is not
# rounded, but there or not.
@pytest.mark.parametrize(("tool", "name", "backend"), cases(GRADIENTS, [by_functions, batched]))
def test_gradients(tool: Callable[..., list[Tensor]], name: str, backend: str) -> None:
    gradients = tool(build(name, backend), *inputs_of(name, COMPARED))
    assert error_of(gradients, expected_of(name, "gradients")) < 3e-3


@pytest.mark.parametrize(("tool", "name", "backend"), cases(PENALTIES, [penalty_in_batches]))
def test_gradients_of_a_penalty(tool: Callable[..., list[Tensor]], name: str, backend: str) -> None:
    gradients = tool(build(name, backend), *inputs_of(name, COMPARED))
    assert error_of(gradients, expected_of(name, "penalty")) < 1e-2


def _by_jvp(loss: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    return torch.func.jvp(loss, (x,), (direction,))[1]


def _by_dual_numbers(loss: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(loss(forward_ad.make_dual(x, direction))).tangent


def _by_reverse_jacobian(loss: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    along = torch.func.jacrev(lambda x: torch.stack([loss(x), 2 * loss(x)]))(x)
    return (along[1] * direction).sum() / 2


def _by_vectorised_jacobian(loss: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    along = torch.autograd.functional.jacobian(lambda x: torch.stack([loss(x), 2 * loss(x)]), x, vectorize=True)
    return (along[1] * direction).sum() / 2


DIRECTIONAL = [_by_jvp, _by_dual_numbers, _by_reverse_jacobian, _by_vectorised_jacobian]


@pytest.mark.parametrize(("tool", "name", "backend"), cases(DIRECTIONAL, [_by_jvp]))
def test_derivatives_along_a_direction(tool: Callable[..., Tensor], name: str, backend: str) -> None:
    network, (x, y) = build(name, backend), inputs_of(name, COMPARED)
    direction = expected_of(name, "gradients")[0]  # that of the gradient: no other is as far from 0
    found = tool(lambda x: loss_of(network(x, y)), x, direction)
    assert error_of([found], [direction.square().sum()]) < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("casts", ["weights", "autocast"])
@pytest.mark.slow
@pytest.mark.parametrize("name", ["G 32 px", "G 128 px", "D 32 px, normalised", "D 128 px, normalised"])
def test_in_lower_precision_errors_are_those_of_the_plain_layers(name: str, casts: str, dtype: torch.dtype) -> None:
    errors = []
    for backend in BACKENDS:
        network, (x, y) = build(name, backend), inputs_of(name, COMPARED)
        if casts == "weights":
            network, x = network.to(dtype), x.to(dtype)
        with torch.autocast("cpu", dtype, enabled=casts == "autocast"):
            values, gradients = [network(x, y)], gradients_of(network, network.parameters(), x, y)
        errors.append(
            [error_of(values, expected_of(name, "values")), error_of(gradients, expected_of(name, "gradients"))]
        )
    for ours, plain in zip(errors[1], errors[0], strict=True):
        assert ours < 3 * plain < 1


def _losses(G: nn.Module, D: nn.Module, z: Inputs, real: Inputs) -> tuple[Tensor, Tensor]:
    """A program of somebody else's."""
    fake = G(*z)
    loss_d = torch.relu(1 - D(*real)).mean() + torch.relu(1 + D(fake.detach(), z.y)).mean()
    return loss_d, -D(fake, z.y).tanh().mean()


def _losses_and_gradients(program: Callable[..., Any], side: int, backend: str, train: bool) -> list[Tensor]:
    names = (f"G {side} px", f"D {side} px, normalised")
    G, D = (build(name, backend).train(train) for name in names)
    z, real = (inputs_of(name, COMPARED) for name in names)
    loss_d, loss_g = program(G, D, z, real)
    in_d = torch.autograd.grad(loss_d, list(D.parameters()), retain_graph=True)
    in_g = torch.autograd.grad(loss_g, list(G.parameters()))
    state = [buffer.float() for network in (G, D) for buffer in network.buffers()]
    return [loss_d, loss_g, *in_d, *in_g, *state]


@pytest.mark.slow
@pytest.mark.parametrize(("side", "backend", "train"), [(32, "plain", True), (32, "auto", False), (128, "auto", True)])
def test_a_whole_program_compiles(side: int, backend: str, train: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(_losses, backend="aot_eager", fullgraph=True)
    found, expected = (
        _losses_and_gradients(program, side, form, train) for program, form in ((compiled, backend), (_losses, "plain"))
    )
    assert error_of(found, expected) < 1e-3
