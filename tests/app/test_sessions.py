"""Those who wait are kept, however many come and go meanwhile."""

import pytest

from app.limits import LIMITS
from app.sessions import KEPT
from tests.processes import python


@pytest.mark.slow
@pytest.mark.parametrize("what", ["read", "leave"])
def test_a_session_that_waits_outlives_those_that_come_after_it(what: str) -> None:
    python("-m", "tests.app.patient", what)


def test_more_are_kept_than_may_wait() -> None:
    assert 2 * (LIMITS.waiting + LIMITS.requests_at_once) < KEPT
