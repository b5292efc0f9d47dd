"""Requests as visitors make them: what they hear on the way, and that nothing is left of those who leave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from pathlib import Path

import pytest
import torch

from app.limits import CancelledError, InvalidRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.service import Progress, Result, Service
from app.turns import Visitor

ME, YOU = Visitor("10.0.0.1", "me"), Visitor("10.0.0.2", "you")
ONE = SampleRequest(classes=("1",), count=1)
LONG = SampleRequest(classes=("0", "1", "2"), count=48)  # three batches of so narrow a network
Stream = AsyncIterator[Progress | Result]


@pytest.fixture(autouse=True)
def _open_already(service: Service) -> None:
    service.open()


def idle(service: Service) -> bool:
    return not (service._requests or service.turns._running or service.turns._waiting or service.engine._jobs)


async def within(awaitable: Awaitable[Progress | Result]) -> Progress | Result:
    return await asyncio.wait_for(awaitable, 30)


async def held(service: Service, count: int, visitor: Visitor = ME) -> list[Stream]:
    """Begin requests in sessions of their own, and keep their places."""
    streams = [service.stream(ONE, visitor._replace(session=f"tab {i}")) for i in range(count)]
    for stream in streams:
        await within(anext(stream))
    return streams


async def close(*streams: Stream) -> None:
    for stream in streams:
        async with aclosing(stream):
            pass


def test_images_are_told_as_they_are_made(tiny: Path) -> None:
    service = Service([str(tiny)], device="cpu")

    async def steps(request: SampleRequest | MorphRequest) -> list[Progress | Result]:
        return [step async for step in service.stream(request, ME)]

    opening, *making, result = asyncio.run(steps(LONG))
    assert isinstance(opening, Progress)
    assert (opening.stage, opening.total, len(opening.images)) == ("opening", 0, 0)
    assert [(step.stage, step.done, step.total, len(step.images)) for step in making] == [
        ("making", 0, 144, 0),
        ("making", 64, 144, 64),
        ("making", 128, 144, 64),
        ("making", 144, 144, 16),
    ]
    assert torch.equal(torch.cat([step.images for step in making[1:]]), result.images)
    assert [caption for step in making for caption in step.captions] == result.captions
    assert torch.equal(result.images, service.make(LONG).images)
    assert [step.stage for step in asyncio.run(steps(ONE))[:-1]] == ["making", "making"]  # neither waits nor opens
    assert idle(service)


def test_who_has_to_wait_hears_it(service: Service) -> None:
    async def visit() -> None:
        streams = [*(await held(service, 12)), *(await held(service, 4, YOU))]
        mine, other = (service.stream(ONE, Visitor(f"10.0.1.{i}", "tab")) for i in range(2))
        assert [(step.stage, step.ahead) for step in [await within(anext(mine)), await within(anext(other))]] == [
            ("waiting", 0),
            ("waiting", 1),
        ]
        coming = asyncio.ensure_future(anext(other))
        await close(mine)  # who was first gives up
        assert (await within(coming)).ahead == 0
        coming = asyncio.ensure_future(anext(other))
        await asyncio.sleep(0.05)
        assert not coming.done()
        await close(streams.pop())
        assert (await within(coming)).stage == "making"
        await close(other, *streams)

    asyncio.run(visit())
    assert idle(service)


def test_cancelling_stops_this_sessions_work_only(service: Service) -> None:
    async def visit() -> None:
        mine, yours = service.stream(LONG, ME), service.stream(ONE, YOU)
        for stream in (mine, yours):
            await within(anext(stream))
        assert service.cancel(Visitor("", "somebody else")) == 0
        assert service.cancel(Visitor("", "")) == 0
        assert service.cancel(ME._replace(address="from elsewhere")) == 1
        with pytest.raises(CancelledError):
            await within(anext(mine))
        assert [type(step) async for step in yours] == [Progress, Result]
        assert service.cancel(ME) == 0

    asyncio.run(visit())
    assert idle(service)
    assert len(service.make(LONG).images) == 144


def test_cancelling_frees_a_place_in_the_line(service: Service) -> None:
    async def visit() -> None:
        streams = await held(service, 12)
        waiting = service.stream(ONE, ME)
        assert (await within(anext(waiting))).stage == "waiting"
        coming = asyncio.ensure_future(anext(waiting))
        await asyncio.sleep(0.05)
        assert not coming.done()
        assert await asyncio.to_thread(service.cancel, ME) == 1  # Gradio runs plain handlers in threads
        with pytest.raises(CancelledError):
            await within(coming)
        assert not service.turns._waiting
        await close(*streams)

    asyncio.run(visit())
    assert idle(service)


def test_nobody_cancels_requests_without_a_session(service: Service) -> None:
    async def visit() -> list[int]:
        return [service.cancel(Visitor("", "")) async for _ in service.stream(ONE, Visitor("10.0.0.1", ""))]

    assert asyncio.run(visit()) == [0, 0, 0]


def test_who_waits_for_a_model_can_leave(tiny: Path) -> None:
    service = Service([str(tiny)], device="cpu")

    async def visit() -> None:
        with service.models._opening:  # as if another one were being downloaded
            streams = [service.stream(ONE, Visitor(f"10.0.0.{i}", f"tab {i}")) for i in range(6)]
            for stream in streams:
                assert (await within(anext(stream))).stage == "opening"
            coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await asyncio.sleep(0.05)
            for task in coming[::2]:
                task.cancel()
            for i in (1, 3):
                assert service.cancel(Visitor("", f"tab {i}")) == 1
            done, _ = await asyncio.wait([coming[i] for i in range(5)], timeout=30)
            assert len(done) == 5
            assert len(service.turns._running) == 1
        assert (await within(coming[5])).stage == "making"
        with pytest.raises(CancelledError):
            coming[1].result()
        await close(streams[5])

    asyncio.run(visit())
    assert idle(service)


def test_nothing_is_left_of_a_task_that_is_cancelled_anywhere(service: Service) -> None:
    """Gradio cancels the task of an event whenever a client asks it to."""
    ended = []

    async def visit(turns: int) -> None:
        async def consume() -> None:
            async with aclosing(service.stream(LONG, ME)) as steps:
                async for _ in steps:
                    pass

        streams = await held(service, 12 if turns % 2 else 11)
        task = asyncio.ensure_future(consume())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        ended.append(await asyncio.gather(task, return_exceptions=True))
        await close(*streams)
        assert idle(service)

    for turns in range(30):
        asyncio.run(visit(turns))
    assert isinstance(ended[0][0], asyncio.CancelledError)


def test_a_line_that_is_full_is_told(service: Service) -> None:
    async def visit() -> None:
        full = "64 requests from your address are waiting: let some finish"
        streams = [service.stream(ONE, ME) for _ in range(8 + 64)]
        for stream in streams:
            await within(anext(stream))
        with pytest.raises(InvalidRequest, match=full):
            await within(anext(service.stream(ONE, ME)))
        others = await held(service, 5)
        with pytest.raises(InvalidRequest, match=full):  # somebody else came, who had none waiting
            await within(anext(streams[-1]))
        await close(*streams, *others)

    asyncio.run(visit())
    assert idle(service)


def test_a_mistake_frees_its_place(service: Service) -> None:
    for request, words in [
        (SampleRequest(classes=("nothing",)), "'nothing' is unknown"),
        (SampleRequest(model="bob/toy"), "not offered here"),
    ]:
        with pytest.raises(InvalidRequest, match=words):
            service.make(request)
        assert idle(service)
