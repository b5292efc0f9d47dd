"""From a request to its link, and back."""

from urllib.parse import urlencode

from app.requests.base import Query
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.walk import WalkRequest

AnyRequest = SampleRequest | MorphRequest | MixtureRequest | WalkRequest

_KINDS: dict[str, type[AnyRequest]] = {
    kind.tab: kind for kind in (SampleRequest, MorphRequest, MixtureRequest, WalkRequest)
}


def request_from_query(query: Query) -> AnyRequest | None:
    """Read a link's query.

    Returns:
        The request, or None if the link asks for no images, such as one to a model alone or to another tab.
    Raises:
        InvalidRequest: if a value is not allowed; unknown keys are ignored.
    """
    kind = _KINDS.get(next(iter(query.get("tab", [])), "sample"))
    if kind is None or not any(query.get(key) for key in kind.trigger_keys):
        return None
    return kind.from_query(query)


def link_to(request: AnyRequest) -> str:
    """Return a link that asks for the same images again, from the question mark on."""
    return "?" + urlencode([(key, value) for key, values in request.query().items() for value in values])
