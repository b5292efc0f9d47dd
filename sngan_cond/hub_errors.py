"""What the Hub's client raises: told in one line, and tried again where it may pass by itself."""

import json
import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

# What the Hub's client raises from its HTTP library: httpx, or httpx2 from version 2 on.
TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]
HUB_ERRORS = (OSError, EntryNotFoundError, TRANSPORT_ERROR)
# Its uploads wrap failures in RuntimeError, and answers that are not JSON (a gateway's page) end as ValueError.
PUSH_ERRORS = (*HUB_ERRORS, RuntimeError, ValueError)
_TRIES = 4

T = TypeVar("T")


def explain(error: BaseException) -> str:
    """Say in one line what went wrong with the Hub.

    Args:
        error: raised by its client.
    """
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        return explain(error.__cause__)
    if isinstance(error, json.JSONDecodeError):
        return f"the Hub at {constants.ENDPOINT} does not answer in JSON; try again later"
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return "the Hub does not accept the login: log in (hf auth login), or set HF_TOKEN to a valid token"
    if status == 403:
        return "the Hub forbids it: the token lacks the permission, or the name belongs to somebody else"
    if status is not None:
        return f"the Hub at {constants.ENDPOINT} answers with status {status}; try again later"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return f"{error.strerror} ({error.filename})"
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"the Hub at {constants.ENDPOINT} cannot be reached ({reason})" if is_outage(error) else reason


def patiently(call: Callable[[], T]) -> T:
    """Ask the Hub again, after a moment, where its failure looks like a passing one.

    Args:
        call: one request.
    Returns:
        Its result.
    """
    for pause_s in (0.25 * 2**i for i in range(_TRIES - 1)):
        try:
            return call()
        except PUSH_ERRORS as error:
            if isinstance(error, TRANSPORT_ERROR) and not isinstance(error, HfHubHTTPError):
                raise  # nobody is there: the client has tried by itself, or a cache is quicker
            if not is_outage(error):
                raise
            time.sleep(pause_s)
    return call()


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error of the Hub's client may pass by itself.

    Args:
        error: raised by a call.
    """
    if isinstance(error, RuntimeError):  # an upload's wrapper
        return is_outage(error.__cause__)
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    passing = TRANSPORT_ERROR | ConnectionError | LocalEntryNotFoundError | json.JSONDecodeError
    return isinstance(error, passing)
