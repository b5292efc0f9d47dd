"""`python -m app`: open the page."""

import argparse
import errno
import os
import socket
import sys
import threading
from collections.abc import Sequence

from app.serving import set_environment_defaults
from sngan_cond.cli import OneLineParser, run_command
from sngan_cond.flag_groups import integer


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m app", description="Open a page that makes images by class.", allow_abbrev=False
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="M",
        help="a Hub repo (user/name or user/name@revision), a folder, or 'bundled'; give it several times to offer "
        "several models, the first one opens (default: bundled)",
    )
    parser.add_argument(
        "--allow-repo",
        action="append",
        default=[],
        metavar="PATTERN",
        help="let visitors open Hub repos whose name fits this shell pattern, such as 'user/*'; may be given several "
        "times (default: none)",
    )
    parser.add_argument(
        "--host",
        default=os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="address to listen on, 0.0.0.0 for all (default: what GRADIO_SERVER_NAME says, or 127.0.0.1)",
    )
    port = integer(1, 65535)
    parser.add_argument(
        "--port", type=port, help="TCP port, 1 to 65535 (default: what GRADIO_SERVER_PORT says, or 7860)"
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:N, or mps, which is untested (default: auto, the CUDA GPU if any)",
    )
    parser.add_argument("--mcp", action="store_true", help="offer the endpoints as tools of the Model Context Protocol")
    parser.add_argument("--root-path", default="", help="path below which a proxy shows the page, such as /gan")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    options = parser.parse_args(arguments)
    if options.port is None:
        try:
            options.port = port(os.environ.get("GRADIO_SERVER_PORT") or "7860")
        except argparse.ArgumentTypeError as error:
            parser.error(f"GRADIO_SERVER_PORT={error}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return run_command(lambda: _serve(options), ValueError, name="python -m app: ")


def _serve(options: argparse.Namespace) -> None:
    set_environment_defaults()
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        os.environ.pop(name, None)  # they are in `options`; Gradio's import fails where they are empty or no number
    host = options.host.strip("[]")
    _check_address(host, options.port)
    try:
        from app.assistant import answer_with_images
        from app.service import Service  # torch and Gradio take seconds to import: --help and mistakes need not wait
        from app.start import warm_up
        from app.ui import build_demo
        from app.web import launch_options
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: pip install '.[app]'") from error
    service = Service(options.model or ["bundled"], allow_repos=options.allow_repo, device=options.device)
    service.models.check_sources()
    demo, web = build_demo(service)
    try:
        _, address, _ = demo.launch(
            server_name=f"[{host}]" if ":" in host else host,  # or Gradio takes the end of an IPv6 address for a port
            server_port=options.port,
            inbrowser=not options.no_browser,
            mcp_server=options.mcp,
            root_path=options.root_path,
            prevent_thread_lock=True,
            quiet=True,
            **launch_options(web),
        )
    except OSError as error:
        if "empty port" in str(error):  # what follows is Gradio's advice for those who write programs
            raise _taken(host, options.port) from error
        raise ValueError(f"port={options.port} on host={host}: {error}") from error
    if options.mcp and demo.mcp_error:
        demo.close(verbose=False)
        raise ValueError(f"--mcp: {demo.mcp_error.strip().splitlines()[0]}")
    answer_with_images(demo)
    threading.Thread(target=warm_up, args=(web.results, "python -m app"), daemon=True).start()
    print(f"The page is at {address} (Ctrl+C ends it)", flush=True)
    demo.block_thread()


def _check_address(host: str, port: int) -> None:
    """Take an address for a moment: Gradio needs seconds to try, and says of every failure that the port is taken.

    Raises:
        ValueError: if it cannot be listened on.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(place)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise _taken(host, port) from error
        if code == errno.EACCES:
            raise ValueError(f"port={port}: the system keeps it to itself; a --port from 1024 on is allowed") from error
        raise ValueError(
            f"host={host!r} (--host or GRADIO_SERVER_NAME): {getattr(error, 'strerror', None) or error}; an address of "
            "this machine is allowed"
        ) from error


def _taken(host: str, port: int) -> ValueError:
    return ValueError(f"port={port} on host={host}: it is taken; another --port is allowed")


if __name__ == "__main__":
    sys.exit(main())
