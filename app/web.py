"""What the page serves beside Gradio: scripts, files of results, single images, and a head that tells of its link."""

import asyncio
import contextlib
import html
import io
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from PIL import Image
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.files import ResultFolder
from app.limits import LIMITS, InvalidRequest, short_repr
from app.requests.base import Query, Request, request_of
from app.results import Results
from app.service import Result, Service
from app.serving import STATIC
from app.theme import page_theme
from app.turns import Visitor
from sngan_cond.images import to_grid, to_pil

SCRIPTS = ("page", "fields", "sheet", "viewer", "path", "shelf", "classes")
PREVIEW_PX = (1200, 630)  # what those who show links ask for
KEEP_S = 600  # for which a browser keeps an image

_META = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>')
_FETCHES = re.compile(r"/file[=/].*:/")  # `//` may come as one slash


class Web:
    """The routes, and what they share.

    Args:
        kinds: of requests that links may ask for.
    """

    def __init__(self, service: Service, results: Results, kinds: Sequence[type[Request]]) -> None:
        self.service, self.results, self.kinds = service, results, kinds
        self._images: OrderedDict[Any, bytes] = OrderedDict()  # PNGs; each class of the overview is one
        self._images_bytes = 0
        self._script = "\n".join((STATIC / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)

    @property
    def routes(self) -> list[Route]:
        """What `FastAPI` is given; relative to the page's address."""
        return [
            Route("/sngan/page.js", self.script),
            Route("/sngan/image.png", self.image),
            Route("/sngan/preview.png", self.preview),
            Route("/sngan/samples.png", self.samples),
            Route("/sngan/results/{folder}/{name}", self.file),
        ]

    async def script(self, _: HttpRequest) -> Response:
        """Serve all scripts as one."""
        return Response(self._script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def file(self, http_request: HttpRequest) -> Response:
        """Serve a file of a result: an image, or what is made of all of them when somebody asks."""
        folder, name = http_request.path_params["folder"], http_request.path_params["name"]
        try:
            path = await asyncio.to_thread(ResultFolder.find, self.results.root, folder, name)
        except InvalidRequest as error:
            return PlainTextResponse(str(error), status_code=404)
        return FileResponse(
            path,
            filename=path.name,
            content_disposition_type="inline",
            headers={"Cache-Control": f"private, max-age={KEEP_S}"},
        )

    async def samples(self, http_request: HttpRequest) -> Response:
        """Serve the samples.png of an open model, which its card may show."""
        try:
            model = self.service.models.opened(*_model_of(parse_qs(http_request.url.query)))
        except InvalidRequest as error:
            return PlainTextResponse(str(error), status_code=404)
        if model is None or model.samples_png is None:
            return PlainTextResponse("there is none", status_code=404)
        return Response(model.samples_png, media_type="image/png", headers={"Cache-Control": f"max-age={KEEP_S}"})

    async def image(self, http_request: HttpRequest) -> Response:
        """Serve the images of a link as one PNG."""
        return await self._png(http_request, lambda images, columns: to_pil(_joined(images, columns)))

    async def preview(self, http_request: HttpRequest) -> Response:
        """Serve the images of a link as sites show it that preview links."""
        return await self._png(http_request, _preview)

    async def _png(self, http_request: HttpRequest, drawn: Any) -> Response:
        try:
            request = self._request(parse_qs(http_request.url.query))
            model = self.service.models.opened(request.model, request.revision)
            made_by = model and (model.key, model.commit_hash or model.weights_sha256)
            key = (http_request.url.path, made_by, request)
            png = self._images.get(key) if made_by else None
            if png is None and (result := await self._make(request, http_request)) is not None:
                png = await asyncio.to_thread(lambda: _encoded(drawn(result.images, result.columns)))
                self._keep(key, png)
        except InvalidRequest as error:
            return PlainTextResponse(str(error), status_code=400)
        return Response(png, media_type="image/png", headers={"Cache-Control": f"public, max-age={KEEP_S}"})

    def _keep(self, key: Any, png: bytes) -> None:
        if key not in self._images:
            self._images_bytes += len(png)
        self._images[key] = png
        while self._images_bytes > LIMITS.image_cache_bytes:
            self._images_bytes -= len(self._images.popitem(last=False)[1])

    def _request(self, query: Query) -> Request:
        request = request_of(query, self.kinds)
        if request is not None:
            return request
        name, revision = _model_of(query)
        model = self.service.models.opened(name, revision)
        if model is None:  # nobody has it open: a robot does not
            raise InvalidRequest(f"model is {short_repr(name)}: it is not open")
        return self.service.first_request(model)

    async def _make(self, request: Request, http_request: HttpRequest) -> Result | None:
        """Make a request's images; None if whoever asked has gone, as browsers do when one scrolls on."""
        address = http_request.client.host if http_request.client else ""
        async with contextlib.aclosing(self.service.stream(request, Visitor(address, "images"))) as steps:
            async for step in steps:
                if isinstance(step, Result):
                    return step
                if await http_request.is_disconnected():
                    return None
        raise AssertionError("a stream ends with its result")

    def described(self, query: Query) -> tuple[str, str]:
        """Return title and description of a link; only of a model that is open, for it is asked by robots."""
        try:
            model = self.service.models.opened(*_model_of(query))
        except InvalidRequest:
            model = None
        if model is None:
            return "sngan-cond", "Images by class, from a class-conditional GAN."
        about = f"{model.name}, {model.config.resolution} × {model.config.resolution} pixels"
        try:
            request = request_of(query, self.kinds)
            if request is None:
                return model.name, f"Images by class, from {about}."
            what = request.told(list(map(model.called, request.labels(model.generator))))
        except InvalidRequest:
            return model.name, f"Images by class, from {about}."
        return f"{what} · {model.name}", f"{request.tab.capitalize()}: {what}, from {about}. Open the link to play on."


def launch_options(web: "Web") -> dict[str, Any]:
    """Return what `Blocks.launch` is always given: the looks, what `web` serves, and as little access as will do."""
    return {
        "theme": page_theme(),
        "css_paths": [STATIC / "page.css", STATIC / "sheet.css"],
        "favicon_path": STATIC / "favicon.svg",
        "app_kwargs": {"routes": web.routes, "middleware": [Middleware(NoProxy), Middleware(Head, web=web)]},
        "footer_links": ["api"],
        "run_history": False,
        "allowed_paths": [],
        "max_file_size": "1kb",  # nothing on this page takes a file
        "enable_monitoring": False,
        "state_session_capacity": 1000,
        # Also how many events Gradio takes up at a time, first come, first served: room for all requests that may be
        # waiting, and as much again for those that are refused or need no turn. Coroutines take no thread.
        "max_threads": 2 * LIMITS.waiting,
        "share": False,
        "ssr_mode": False,
    }


class NoProxy:
    """Middleware that fetches nothing from elsewhere: Gradio's address of a file would take any web address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for no web address."""
        if scope["type"] == "http" and _FETCHES.search(scope["path"]):
            answer = PlainTextResponse("files of this page are served, and nothing of other sites", status_code=403)
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Head:
    """Middleware that gives the page's head the title, preview and scripts of its link, for those who run no script."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self.app, self.web = app, web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; change the answer if it is the page."""
        page = scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")) in ("", "/")
        if not page or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if Headers(raw=start["headers"]).get("content-type", "").startswith("text/html"):
                body = await asyncio.to_thread(self._headed, body, HttpRequest(scope))
                MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, changed)

    def _headed(self, page: bytes, http_request: HttpRequest) -> bytes:
        title, description = self.web.described(parse_qs(http_request.url.query))
        base = str(http_request.base_url)
        image = f"{base}sngan/preview.png" + (f"?{http_request.url.query}" if http_request.url.query else "")
        told = {"og:title": title, "og:description": description, "og:image": image, "og:url": str(http_request.url)}
        told |= {"og:type": "website", "twitter:card": "summary_large_image"}
        lines = [
            f"<title>{html.escape(title)}</title>",
            f'<meta name="description" content="{html.escape(description)}">',
        ]
        lines += [f'<meta property="{name}" content="{html.escape(text)}">' for name, text in told.items()]
        lines += ['<meta name="color-scheme" content="light dark">', '<script src="sngan/page.js"></script>']
        return _META.sub(b"", page).replace(b"</head>", "\n".join([*lines, "</head>"]).encode(), 1)


def _model_of(query: Query) -> tuple[str, str]:
    return query.get("model", [""])[0], query.get("revision", [""])[0]


def _joined(images: Any, columns: int) -> Any:
    return images[0] if len(images) == 1 else to_grid(images, columns=columns)


def _preview(images: Any, columns: int) -> Image.Image:
    """Lay the images out in the shape of a preview, as large as fits; small ones without blur."""
    columns = max(columns, min(len(images), 2 * columns)) if columns * columns <= len(images) else columns
    grid = to_pil(_joined(images[: 2 * columns * columns], columns))
    scale = min(PREVIEW_PX[0] / grid.width, PREVIEW_PX[1] / grid.height)
    size = round(grid.width * scale), round(grid.height * scale)
    canvas = Image.new("RGB", PREVIEW_PX, "#141210")
    resample = Image.Resampling.NEAREST if images.shape[-1] <= 64 else Image.Resampling.LANCZOS
    canvas.paste(grid.resize(size, resample), ((PREVIEW_PX[0] - size[0]) // 2, (PREVIEW_PX[1] - size[1]) // 2))
    return canvas


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
