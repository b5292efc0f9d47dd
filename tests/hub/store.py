"""What the Hub stand-in keeps: repos, commits and branches in one JSON file, contents by their sha256."""

import hashlib
import json
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

LFS_SUFFIXES = (".safetensors", ".bin", ".png", ".npz")
INITIAL = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


class StoreError(Exception):
    """A request that the Hub refuses.

    Args:
        status: HTTP status.
        code: the Hub's own error code, of its X-Error-Code header.
        message: what the Hub says.
    """

    def __init__(self, status: int, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.commit: str | None = None


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit: `oid` is git's blob hash, or the sha256 of a large file."""

    sha256: str
    size: int
    lfs: bool
    oid: str


@dataclass
class Commit:
    """A commit, with all of its tree."""

    parents: list[str]
    title: str
    message: str
    author: str
    date: str
    files: dict[str, StoredFile]


@dataclass
class Repo:
    """A model repo."""

    owner: str
    private: bool
    created: str
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def resolve(self, revision: str) -> str:
        """Return the full hash of a branch, tag or hash."""
        found = self.branches.get(revision) or self.tags.get(revision)
        if found is None and revision in self.commits:
            found = revision
        if found is None:
            raise StoreError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def history(self, revision: str) -> list[tuple[str, Commit]]:
        """Return the commits of a revision, newest first."""
        found, oid = [], self.resolve(revision)
        while True:
            found.append((oid, self.commits[oid]))
            if not self.commits[oid].parents:
                return found
            oid = self.commits[oid].parents[0]

    def file(self, revision: str, path: str) -> tuple[str, StoredFile]:
        """Return a revision's full hash and one of its files."""
        oid = self.resolve(revision)
        if path not in self.commits[oid].files:
            error = StoreError(404, "EntryNotFound", "Entry not found")
            error.commit = oid
            raise error
        return oid, self.commits[oid].files[path]


def now() -> str:
    """Return the time as the Hub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Store:
    """Repos and contents in a folder; every change is on disk before it is answered.

    Args:
        folder: made if missing; an earlier store's is taken up.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        (self.folder / "objects").mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.repos: dict[str, Repo] = {}
        state = self.folder / "state.json"
        if state.exists():
            for name, values in json.loads(state.read_text()).items():
                commits = {
                    oid: Commit(**{**commit, "files": {k: StoredFile(**v) for k, v in commit["files"].items()}})
                    for oid, commit in values.pop("commits").items()
                }
                self.repos[name] = Repo(**values, commits=commits)

    def _save(self) -> None:
        beside = self.folder / "state.json.new"
        beside.write_text(json.dumps({name: asdict(repo) for name, repo in self.repos.items()}))
        beside.replace(self.folder / "state.json")

    def object_path(self, sha256: str) -> Path:
        """Return where a content lies, or will."""
        return self.folder / "objects" / sha256

    def put(self, content: bytes) -> str:
        """Keep a content and return its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        beside = self.object_path(f"{sha256}.{threading.get_ident()}")
        beside.write_bytes(content)
        beside.replace(self.object_path(sha256))
        return sha256

    def regular(self, content: bytes) -> StoredFile:
        """Keep a small file."""
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return StoredFile(self.put(content), len(content), lfs=False, oid=oid)

    def large(self, sha256: str, size: int) -> StoredFile:
        """Refer to a large file that was uploaded before."""
        if not self.object_path(sha256).exists():
            raise StoreError(404, None, f"LFS pointer pointed to a file that does not exist: {sha256}")
        return StoredFile(sha256, size, lfs=True, oid=sha256)

    def create(self, name: str, *, owner: str, private: bool) -> None:
        """Make a repo with the Hub's first commit."""
        with self.lock:
            if name in self.repos:
                raise StoreError(409, None, "You already created this model repo")
            repo = self.repos[name] = Repo(owner, private, now())
            files = {".gitattributes": self.regular(INITIAL)}
            self._add(repo, "main", Commit([], "initial commit", "", owner, now(), files))

    def commit(
        self,
        repo: Repo,
        branch: str,
        *,
        title: str,
        message: str,
        author: str,
        changes: dict[str, StoredFile | None],
        parent: str | None = None,
    ) -> str:
        """Add one commit to a branch and return its hash; None in `changes` deletes."""
        with self.lock:
            if branch not in repo.branches:
                raise StoreError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
            head = repo.branches[branch]
            if parent is not None and not head.startswith(parent):
                raise StoreError(412, None, "A commit has happened since. Please refresh and try again.")
            files = dict(repo.commits[head].files)
            for path, file in changes.items():
                if file is not None:
                    files[path] = file
                elif files.pop(path, None) is None:
                    raise StoreError(404, "EntryNotFound", "A file with this name doesn't exist")
            return self._add(repo, branch, Commit([head], title, message, author, now(), files))

    def _add(self, repo: Repo, branch: str, commit: Commit) -> str:
        # The name is in the hash, so that equal first commits of two repos differ, as with real authors and times.
        name = next(name for name, known in self.repos.items() if known is repo)
        oid = hashlib.sha1(json.dumps([name, branch, asdict(commit)]).encode()).hexdigest()
        repo.commits[oid] = commit
        repo.branches[branch] = oid
        self._save()
        return oid

    def point(self, refs: dict[str, str], name: str, oid: str) -> None:
        """Make a branch or tag."""
        with self.lock:
            if name in refs:
                raise StoreError(409, None, "Reference already exists")
            refs[name] = oid
            self._save()
