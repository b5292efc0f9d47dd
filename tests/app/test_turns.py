"""Whose request comes next: equal shares of addresses, then of sessions, then first come; and nobody is forgotten."""

from collections import Counter
from dataclasses import replace

from app.limits import LIMITS, InvalidRequest
from app.turns import Turn, Turns, Visitor
from tests.refusals import refused

ROBOT = Visitor("10.0.0.1", "robot")


def ask(turns: Turns, visitor: Visitor, count: int = 1) -> list[Turn]:
    return [turns.ask(visitor, lambda: None) for _ in range(count)]


def running(turns: list[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.running]


def test_there_is_room_beside_a_robot() -> None:
    turns = Turns()
    robot = ask(turns, ROBOT, 30)
    assert running(robot) == robot[:8]
    neighbours = ask(turns, ROBOT._replace(session="2"), 8)
    assert running(neighbours) == neighbours[:4]
    persons = [ask(turns, Visitor(f"10.0.1.{i}", "tab"))[0] for i in range(5)]
    assert running(persons) == persons[:4]  # 16 in all
    assert persons[4].ahead == 0  # though the robot came earlier: it has 12 running, and this one none
    assert (neighbours[4].ahead, robot[8].ahead) == (1, 5)  # of neighbours, who have fewer running
    turns.end(robot[0])
    assert persons[4].running
    turns.end(robot[1])
    turns.end(persons[0])
    assert len(running(robot[2:])) + len(running(neighbours)) == 12
    assert len(running(neighbours)) == 6


def test_addresses_come_before_sessions() -> None:
    """An address with many sessions is given no more than one with a single session."""
    turns = Turns(replace(LIMITS, requests_at_once=4))
    crowd = [turn for i in range(6) for turn in ask(turns, Visitor("a", f"session {i}"))]
    alone = ask(turns, Visitor("b", "tab"), 3)
    turns.end(crowd[0])
    turns.end(crowd[1])
    assert Counter(turn.visitor.address for turn in running([*crowd[2:], *alone])) == {"a": 2, "b": 2}


def test_sessions_of_one_address_share_it() -> None:
    turns = Turns(replace(LIMITS, requests_at_once=3))
    many = ask(turns, Visitor("proxy", "many"), 5)
    one = ask(turns, Visitor("proxy", "one"))
    assert (one[0].ahead, many[3].ahead, many[4].ahead) == (0, 1, 1)
    turns.end(many[0])
    assert one[0].running
    assert not many[3].running


def test_who_waits_hears_how_many_come_before() -> None:
    turns = Turns(replace(LIMITS, requests_at_once=1))
    held = ask(turns, Visitor("a", "1"))[0]
    heard: list[str] = []
    others = [turns.ask(Visitor(f"other {i}", "1"), lambda i=i: heard.append(f"other {i}")) for i in range(2)]
    me = [turns.ask(Visitor("me", "1"), lambda: heard.append("me")) for _ in range(2)]
    assert [turn.ahead for turn in me] == [2, 2]  # the first of mine is not one of others
    heard.clear()
    turns.end(others[0])  # gives up
    assert [turn.ahead for turn in me] == [1, 1]
    assert heard == ["other 1", "me", "me"]
    turns.end(held)
    assert others[1].running


def test_places_come_back_in_whatever_order_turns_end() -> None:
    turns = Turns()
    asked = [turn for i in range(10) for turn in ask(turns, Visitor(f"address {i % 3}", f"session {i}"), 6)]
    assert len(running(asked)) == LIMITS.requests_at_once
    for turn in asked[::2] + asked[1::2]:
        turns.end(turn)
        left = sum(turn.running for turn in turns._running)
        assert left == len(turns._running) == min(LIMITS.requests_at_once, left + len(turns._waiting))
    assert not turns._running
    assert not turns._waiting
    assert len(running(ask(turns, ROBOT, 8))) == 8


def test_the_line_of_an_address_has_an_end() -> None:
    """Whoever sends more than 64 hears it; behind the same proxy there is still a place for somebody else."""
    turns = Turns()
    robot = ask(turns, ROBOT, 8 + 64)
    refused(lambda: ask(turns, ROBOT), "64 requests from your address are waiting: let some", by=InvalidRequest)
    heard: list[Turn] = []
    robot[-1].notify = lambda: heard.append(robot[-1])
    person = ROBOT._replace(session="person")
    assert all(turn.running for turn in ask(turns, person, 4))
    (waiting,) = ask(turns, person)
    assert waiting.ahead == 0
    assert heard == [robot[-1]]
    assert "let some finish" in robot[-1].refusal
    assert len(turns._waiting) == 64
    turns.end(robot[-1])  # as its own coroutine does
    assert len(turns._waiting) == 64
    refused(lambda: ask(turns, ROBOT), "64 requests from your address are waiting", by=InvalidRequest)


def test_the_whole_line_has_an_end() -> None:
    turns = Turns()
    crowd = [turns.ask(Visitor(f"{i % 9}", f"{i}"), lambda: None) for i in range(16 + 512)]
    assert len(turns._waiting) == 512
    ask(turns, Visitor("person", ""), 2)
    assert len(turns._waiting) == 512
    assert [bool(turn.refusal) for turn in crowd].count(True) == 2
    refused(lambda: ask(turns, Visitor("0", "")), "512 requests are waiting: let some finish", by=InvalidRequest)
