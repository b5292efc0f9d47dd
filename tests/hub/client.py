"""The real huggingface_hub client in a process of its own, since it reads HF_ENDPOINT when it is imported.

`HubClient(environment).run("result = 1 + 1")` executes code there and returns `result`; what it raises comes back as
`ClientError`.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.processes import started


class ClientError(Exception):
    """What the code raised: its type's name and its message."""


class HubClient:
    """The process.

    Args:
        environment: of it, beside this one's without anything about the Hub.
        log: file for what it prints.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._started = started([sys.executable, "-m", "tests.hub.client"], log, env=environment, **pipes)

    def run(self, code: str, **values: Any) -> Any:
        """Execute code with some variables set, and return what it left in `result`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "values": values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client died"
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer["result"]

    @contextlib.contextmanager
    def logged_in(self, token: str) -> Iterator[None]:
        """Be another user for a while."""
        become = "import os\nresult, os.environ['HF_TOKEN'] = os.environ['HF_TOKEN'], token"
        before = self.run(become, token=token)
        try:
            yield
        finally:
            self.run(become, token=before)

    def __enter__(self) -> Self:
        self._process = self._started.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._process.communicate(timeout=60)
        self._started.__exit__(*error)


def main() -> None:
    """Answer lines of JSON until there are no more."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            request = json.loads(line)
            scope: dict[str, Any] = {**request["values"], "result": None}
            try:
                exec(request["code"], scope)
                answer = {"result": scope["result"]}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
