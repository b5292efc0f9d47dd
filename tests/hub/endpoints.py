"""How the Hub stand-in answers: the few endpoints of the Hub that loading and publishing a model need."""

import base64
import json
import re
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub.faults import Fault
from tests.hub.store import LFS_SUFFIXES, Commit, Repo, StoredFile, StoreError

REPO = r"(?P<repo>[^/]+/[^/]+)"
REV = r"(?P<rev>[^/]+)"
ROUTES = {
    ("GET", "/api/whoami-v2"): "whoami",
    ("POST", "/api/validate-yaml"): "validate_yaml",
    ("POST", "/api/repos/create"): "create",
    ("GET", f"/api/models/{REPO}"): "info",
    ("GET", f"/api/models/{REPO}/revision/{REV}"): "info",
    ("GET", f"/api/models/{REPO}/refs"): "refs",
    ("GET", f"/api/models/{REPO}/commits/{REV}"): "commits",
    ("GET", f"/api/models/{REPO}/tree/{REV}"): "tree",
    ("POST", f"/api/models/{REPO}/paths-info/{REV}"): "paths_info",
    ("POST", f"/api/models/{REPO}/preupload/{REV}"): "preupload",
    ("POST", f"/api/models/{REPO}/commit/{REV}"): "commit",
    ("POST", f"/api/models/{REPO}/branch/{REV}"): "branch",
    ("POST", f"/api/models/{REPO}/tag/{REV}"): "tag",
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch"): "lfs_batch",
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})"): "lfs_put",
    ("HEAD", f"/{REPO}/resolve/{REV}/(?P<path>.+)"): "head",
    ("GET", f"/{REPO}/resolve/{REV}/(?P<path>.+)"): "resolve",
}
ENDPOINTS = sorted(set(ROUTES.values()))


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart, and each would wait for the other's arrival
    server: Any

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: `requests` has what happened."""

    def do_GET(self) -> None:
        """Answer any request, or fail it."""
        self.hub, self.store = self.server.hub, self.server.hub.store
        body = self._body()  # also before an error, or the connection's next request would begin inside it
        time.sleep(self.hub.latency_s)
        url = urlsplit(self.path)
        name, groups = self._find(url.path)
        self.fault = self.hub.faults.take(name) or Fault()
        if self.fault.before(self):
            return
        chance, fails = self.hub.random, self.hub.random.random() < self.hub.fail_rate
        is_commit = "/commit/" in url.path
        # An answer that is lost after the commit was made is what tempts a client into publishing twice.
        lost = is_commit and (self.hub.lose_answers > 0 or (fails and chance.random() < 0.5))
        if lost or not fails:
            try:
                answer = self._route(name, groups, body)
            except StoreError as error:
                self._refuse(error)
                return
            if not lost:
                if answer is not None:
                    self._json(answer)
                return
            self.hub.lose_answers = max(0, self.hub.lose_answers - 1)
        text = b'{"error": "Internal Error"}' if chance.random() < 0.5 else b"<html>Bad Gateway</html>"
        self.answer(chance.choice((500, 503)), text, {"Content-Type": "text/html"})

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the standard library's names

    def _refuse(self, error: StoreError) -> None:
        headers = {"X-Error-Message": error.message}
        headers |= {"X-Error-Code": error.code} if error.code else {}
        headers |= {"X-Repo-Commit": error.commit} if error.commit else {}
        self._json({"error": error.message, "errors": [{"message": error.message}]}, error.status, headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _find(self, path: str) -> tuple[str, dict[str, str]]:
        for (method, pattern), name in ROUTES.items():
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return name, {key: unquote(value) for key, value in match.groupdict().items()}
        return "", {}

    def _route(self, name: str, groups: dict[str, str], body: bytes) -> object:
        if not name:
            raise StoreError(404, None, f"Sorry, we can't find the page {self.command} {self.path}.")
        return getattr(self, f"_{name}")(groups, body)

    def _json(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send an answer, its body as the request's fault does, and note it."""
        self.hub.requests.append((self.command, self.path, status))
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.fault.send(self, content)

    # Who may do what

    def _user(self) -> str | None:
        header = self.headers.get("Authorization")
        if header is None:
            return None
        user = self.hub.tokens.get(header.removeprefix("Bearer "))
        if user is None:
            raise StoreError(401, None, "Invalid credentials in Authorization header")
        return user

    def _repo(self, groups: dict[str, str], *, read: bool = False, write: bool = False) -> Repo:
        user, repo = self._user(), self.store.repos.get(groups["repo"])
        if repo is None or (repo.private and user != repo.owner):
            # As the Hub does: a visitor cannot tell a private repo from none at all.
            raise StoreError(401 if user is None else 404, "RepoNotFound", "Repository not found")
        if read and repo.gated and user != repo.owner:  # anybody may know of it
            raise StoreError(403, "GatedRepo", f"Access to model {groups['repo']} is restricted")
        if write and user is None:
            raise StoreError(401, None, "Invalid username or password.")
        if write and user != repo.owner:
            raise StoreError(403, None, "Forbidden: you must have write access to this repo")
        return repo

    # Endpoints

    def _whoami(self, groups: dict[str, str], body: bytes) -> object:
        user = self._user()
        if user is None:
            raise StoreError(401, None, "Invalid username or password.")
        return {"type": "user", "name": user, "fullname": user, "orgs": [], "auth": {"type": "access_token"}}

    def _validate_yaml(self, groups: dict[str, str], body: bytes) -> object:
        try:
            _front_matter(json.loads(body)["content"])
        except yaml.YAMLError as error:
            raise StoreError(400, None, f"Invalid YAML: {error}".splitlines()[0]) from error
        return {"errors": [], "warnings": []}

    def _create(self, groups: dict[str, str], body: bytes) -> object:
        wanted, user = json.loads(body), self._user()
        if user is None:
            raise StoreError(401, None, "Invalid username or password.")
        owner = wanted.get("organization") or user
        if owner != user:
            raise StoreError(403, None, f"You don't have the rights to create a model under the namespace {owner!r}")
        name = f"{owner}/{wanted['name']}"
        url = {"url": f"{self.hub.url}/{name}", "name": name}
        try:
            self.store.create(name, owner=owner, private=wanted.get("visibility") == "private")
        except StoreError as error:
            self._json({"error": error.message, **url}, error.status)
            return None
        return url

    def _info(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups)
        oid = repo.resolve(groups.get("rev", "main"))
        files, card = repo.commits[oid].files, {}
        if "README.md" in files:
            card = _front_matter(self.store.object_path(files["README.md"].sha256).read_text())
        return {
            "id": groups["repo"],
            "modelId": groups["repo"],
            "author": repo.owner,
            "sha": oid,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "disabled": False,
            "createdAt": repo.created,
            "lastModified": repo.commits[oid].date,
            "tags": card.get("tags") or [],
            "pipeline_tag": card.get("pipeline_tag"),
            "library_name": card.get("library_name"),
            "cardData": card,
            "siblings": [{"rfilename": path, "size": file.size} for path, file in sorted(files.items())],
        }

    def _refs(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups)
        return {"branches": _refs("heads", repo.branches), "converts": [], "tags": _refs("tags", repo.tags)}

    def _commits(self, groups: dict[str, str], body: bytes) -> object:
        return [_commit_row(oid, commit) for oid, commit in self._repo(groups).history(groups["rev"])]

    def _tree(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups)
        files = repo.commits[repo.resolve(groups["rev"])].files
        return [_file_row(path, file) for path, file in sorted(files.items())]

    def _paths_info(self, groups: dict[str, str], body: bytes) -> object:
        repo, wanted = self._repo(groups), parse_qs(body.decode())["paths"]
        files = repo.commits[repo.resolve(groups["rev"])].files
        return [_file_row(path, files[path]) for path in wanted if path in files]

    def _preupload(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups, write=True)
        known = repo.commits[repo.resolve(groups["rev"])].files
        rows = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            mode = "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
            oid = known[path].oid if path in known else None
            rows.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": rows}

    def _lfs_batch(self, groups: dict[str, str], body: bytes) -> object:
        self._repo(groups, write=True)
        rows = []
        for wanted in json.loads(body)["objects"]:
            row = {"oid": wanted["oid"], "size": wanted["size"]}
            if not self.store.object_path(wanted["oid"]).exists():
                row["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            rows.append(row)
        return {"transfer": "basic", "objects": rows}

    def _lfs_put(self, groups: dict[str, str], body: bytes) -> object:
        if self.store.put(body) != groups["oid"]:
            raise StoreError(422, None, "The content does not have the sha256 it was announced with")
        return {}

    def _commit(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups, write=True)
        header, *lines = (json.loads(line) for line in body.splitlines())
        changes: dict[str, StoredFile | None] = {}
        for key, value in ((line["key"], line["value"]) for line in lines):
            if key == "file":
                changes[value["path"]] = self.store.regular(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                changes[value["path"]] = self.store.large(value["oid"], value["size"])
            elif key == "deletedFile":
                changes[value["path"]] = None
            else:
                raise StoreError(400, None, f"Unknown operation {key}")
        value = header["value"]
        oid = self.store.commit(
            repo,
            groups["rev"],
            title=value["summary"],
            message=value["description"],
            author=self._user() or "",
            changes=changes,
            parent=value.get("parentCommit"),
        )
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{groups['repo']}/commit/{oid}"}

    def _branch(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups, write=True)
        start = (json.loads(body) if body else {}).get("startingPoint", "main")
        self.store.point(repo.branches, groups["rev"], repo.resolve(start))
        return {}

    def _tag(self, groups: dict[str, str], body: bytes) -> object:
        repo = self._repo(groups, write=True)
        self.store.point(repo.tags, json.loads(body)["tag"], repo.resolve(groups["rev"]))
        return {}

    def _resolve(self, groups: dict[str, str], body: bytes) -> None:
        self.hub.before_download()
        oid, file = self._repo(groups, read=True).file(groups["rev"], groups["path"])
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
        if file.lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        content, status = self.store.object_path(file.sha256).read_bytes(), 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted:
            start, status = int(wanted[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        self.answer(status, content, {"Content-Type": "application/octet-stream", **headers})

    _head = _resolve  # without the content


def _front_matter(text: str) -> dict[str, Any]:
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return (yaml.safe_load(match[1]) or {}) if match else {}


def _refs(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in refs.items()]


def _commit_row(oid: str, commit: Commit) -> dict[str, Any]:
    row = {"id": oid, "title": commit.title, "message": commit.message, "date": commit.date}
    return {**row, "authors": [{"user": commit.author}]}


def _file_row(path: str, file: StoredFile) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    return {**row, "lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 130}} if file.lfs else row
