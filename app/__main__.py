"""`python -m app`: open the page."""

import argparse
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
        "--host", default="127.0.0.1", help="address to listen on, 0.0.0.0 for all (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=integer(1, 65535), default=7860, help="TCP port, 1 to 65535 (default: %(default)s)"
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:N, or mps, which is untested (default: auto, the CUDA GPU if any)",
    )
    parser.add_argument("--mcp", action="store_true", help="offer the endpoints as tools of the Model Context Protocol")
    parser.add_argument("--root-path", default="", help="path below which a proxy shows the page, such as /gan")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return run_command(lambda: _serve(options), ValueError, name="python -m app: ")


def _serve(options: argparse.Namespace) -> None:
    set_environment_defaults()
    try:
        from app.service import Service  # torch and Gradio take seconds to import: --help and mistakes need not wait
        from app.serving import launch_options
        from app.ui import build_demo
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: pip install '.[app]'") from error
    service = Service(options.model or ["bundled"], allow_repos=options.allow_repo, device=options.device)
    service.models.check_sources()
    demo = build_demo(service)
    try:
        _, address, _ = demo.launch(
            server_name=options.host,
            server_port=options.port,
            inbrowser=not options.no_browser,
            mcp_server=options.mcp,
            root_path=options.root_path,
            prevent_thread_lock=True,
            quiet=True,
            **launch_options(),
        )
    except OSError as error:
        raise ValueError(f"port={options.port} on host={options.host}: {_reason(error)}") from error
    if options.mcp and demo.mcp_error:
        demo.close(verbose=False)
        raise ValueError(f"--mcp: {demo.mcp_error.strip().splitlines()[0]}")
    threading.Thread(target=service.warm_up, daemon=True).start()
    print(f"The page is at {address} (Ctrl+C ends it)", flush=True)
    demo.block_thread()


def _reason(error: OSError) -> str:
    """Return why an address cannot be listened on, without Gradio's advice for those who write programs."""
    return "it is taken; another --port is allowed" if "empty port" in str(error) else str(error)


if __name__ == "__main__":
    sys.exit(main())
