"""Errors of the Hub's client: explained in one line, retried where they may pass."""

import json
import re
import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from sngan_cond.hub.files import HubUnavailableError, PretrainedError
from sngan_cond.hub.patience import HubTooSlowError
from sngan_cond.validation import one_line, short_repr

# What the Hub's client raises from its HTTP library: httpx, or httpx2 from version 2 on.
TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]
# Its uploads wrap failures in RuntimeError, and answers that are not JSON (a gateway's page) end as ValueError.
HUB_ERRORS = (OSError, EntryNotFoundError, TRANSPORT_ERROR, RuntimeError, ValueError)
# What its code meets in JSON of another shape than it reads.
_SHAPE_ERRORS = (LookupError, TypeError, AttributeError, AssertionError, RecursionError)
_PASSING = (408, 409, 412, 429)  # too slow, twice the repo was changed at the same moment, too often
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PAUSES_S = (0.25, 0.5, 1.0)

T = TypeVar("T")


class UnexpectedAnswerError(ValueError):
    """The Hub answers, and what it says is not in the form that was asked for."""


def with_retries(call: Callable[[], T], *, again: bool = True) -> T:
    """Make a request to the Hub, and again after a moment where its failure looks like a passing one.

    Not for what the client itself tries again for half a minute: its tries and ours would multiply.

    Args:
        call: makes one request and reads its answer; its result is returned.
        again: whether to try again; not where something at hand serves as well.
    """
    for pause_s in _PAUSES_S if again else ():
        try:
            return _ask(call)
        except HUB_ERRORS as error:
            # No server answered at all, or none described a file: the client has tried again by itself.
            unreached = isinstance(error, TRANSPORT_ERROR) and not isinstance(error, HfHubHTTPError)
            if unreached or isinstance(error, LocalEntryNotFoundError | HubTooSlowError) or not is_outage(error):
                raise
            time.sleep(pause_s)
    return _ask(call)


def _ask(call: Callable[[], T]) -> T:
    try:
        return call()
    except _SHAPE_ERRORS as error:
        raise UnexpectedAnswerError(f"{type(error).__name__}: {error}") from error


def check_commit(commit: object) -> str:
    """Return the hash of a commit that the Hub has named.

    Raises:
        UnexpectedAnswerError: if it is none.
    """
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise UnexpectedAnswerError(f"a commit is named {short_repr(commit)}")
    return commit


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error of the Hub's client may pass by itself."""
    if (cause := _wrapped(error)) is not None:
        return is_outage(cause)
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in _PASSING
    passing = TRANSPORT_ERROR | ConnectionError | HubTooSlowError | LocalEntryNotFoundError
    return isinstance(error, passing | json.JSONDecodeError | UnexpectedAnswerError)


def pretrained_error(subject: str, error: BaseException, reason: str | None = None) -> PretrainedError:
    """Return our error for one of the Hub's client; it says whether trying again later may help.

    Args:
        subject: argument and value that the error is about, such as "repo='user/name'".
        error: raised by the client.
        reason: one line; None explains the error.
    """
    kind = HubUnavailableError if is_outage(error) else PretrainedError
    return kind(f"{subject}: {explain(error) if reason is None else reason}")


def _wrapped(error: BaseException | None) -> BaseException | None:
    """Return the failure inside what the client makes of it, in an upload, a download, or one that is forced."""
    if isinstance(error, RuntimeError | LocalEntryNotFoundError) or type(error) is ValueError:
        return error.__cause__
    return None


def explain(error: BaseException) -> str:
    """Say in one line what went wrong, and what to do about it where that is known."""
    if (cause := _wrapped(error)) is not None:
        return explain(cause)
    if isinstance(error, json.JSONDecodeError):
        return f"the Hub at {constants.ENDPOINT} does not answer in JSON; try again later"
    if isinstance(error, UnexpectedAnswerError):
        return f"the Hub at {constants.ENDPOINT} answers in another form than expected ({one_line(error, 100)})"
    if isinstance(error, HubTooSlowError):
        return f"the Hub at {constants.ENDPOINT} takes too long ({error}); try again later"
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return "the Hub does not accept the login: log in (hf auth login), or set HF_TOKEN to a valid token"
    if status == 403:
        return "the Hub forbids it (status 403): the token lacks the permission, or the name belongs to somebody else"
    if status in (409, 412):
        return f"the repo was changed by somebody else at the same moment (status {status}); try again"
    if status == 413:
        return (
            "the Hub, or a proxy before it, takes nothing this large (status 413): send less (no discriminator, or "
            "save_pretrained(half=True)), or raise the proxy's limit"
        )
    if status is not None:
        return f"the Hub at {constants.ENDPOINT} answers with status {status}; try again later"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return f"{error.strerror} ({error.filename})"
    reason = one_line(error, 200) or type(error).__name__
    return f"the Hub at {constants.ENDPOINT} cannot be reached ({reason})" if is_outage(error) else reason
