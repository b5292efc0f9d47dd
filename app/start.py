"""What is done as soon as the page is up."""

import sys
import time
from dataclasses import replace

from app.engine import on_zero_gpu
from app.limits import InvalidRequest
from app.results import Results


def warm_up(results: Results, program: str) -> None:
    """Open the first model and make what the page begins with, so that no visitor waits for what happens only once.

    If it cannot be opened, whoever started the page is told; the page stays.

    Args:
        program: what the line on stderr begins with.
    """
    service = results.service
    try:
        model = service.open()
    except InvalidRequest as error:
        text, start = str(error), f"model={service.models.names[0]!r}: "
        print(f"{program}: {text if text.startswith('model=') else start + text}", file=sys.stderr, flush=True)
        return
    if on_zero_gpu():
        return  # there is no GPU outside of a visitor's request
    for _ in range(2):  # from the second on it is known how long images take, and so how many to begin with
        service.make(replace(service.first_request(model), count=1))
    started = time.perf_counter()
    result = service.make(service.first_request(model))
    results.keep(result, time.perf_counter() - started)
