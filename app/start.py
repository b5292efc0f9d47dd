"""What is done as soon as the page is up."""

import sys

from app.limits import InvalidRequest
from app.service import Service


def warm_up(service: Service, program: str) -> None:
    """Open the first model and make an image; if it cannot be opened, tell whoever started the page, which stays.

    Args:
        program: what the line on stderr begins with.
    """
    try:
        service.open()
    except InvalidRequest as error:
        text, start = str(error), f"model={service.models.names[0]!r}: "
        print(f"{program}: {text if text.startswith('model=') else start + text}", file=sys.stderr, flush=True)
    else:
        service.warm_up()
