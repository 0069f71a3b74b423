"""A local Hub server: the parts of huggingface.co's API that huggingface_hub and datasets use, for folders of a test.

``serve(folder)`` serves ``folder/{models,datasets}/OWNER/NAME`` as repositories with one commit each, `COMMIT`, also
named ``main``. No token can read ``gated`` repositories, only requests with a token can read ``private`` ones, and
responses for ``hanging`` ones time out. Uploaded files are written to the folder too.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_" + "t" * 34


@dataclass
class Hub:
    """Repositories, and a log of the requests in ``asked``; ``url`` is the value of HF_ENDPOINT."""

    folder: Path
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def repository(self, kind: str, name: str) -> Path:
        return self.folder / kind / name


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def _send(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode())

    def _refused(self, name: str) -> bool:
        """Refuse a request without access to the repository; return whether it was refused."""
        if name in self.hub.hanging:
            time.sleep(20)
        if name in self.hub.gated:
            self._send(403, X_Error_Code="GatedRepo", X_Error_Message=f"Access to {name} is restricted")
            return True
        if name in self.hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return True
        return False

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(.*))?", path):
            self._about(*found.groups())
        elif found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(("datasets" if found[1] else "models"), found[2], found[3], found[4])
        else:
            self._send(404)

    def _about(self, kind: str, name: str, what: str | None) -> None:
        folder = self.hub.repository(kind, name)
        if not folder.is_dir():
            self._send(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        what, _, rest = (what or "revision/main").partition("/")
        revision = rest.partition("/")[0]
        if what == "auth-check":
            if not self._refused(name):
                self._json({})
        elif revision not in ("main", COMMIT):
            self._send(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
        elif what == "revision":  # available for gated repositories too, as on huggingface.co
            siblings = [{"rfilename": file} for file in names]
            self._json({"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0})
        elif what == "tree":
            inside = rest.partition("/")[2]
            here = [(file, path) for file, path in zip(names, files, strict=True) if file.startswith(inside)]
            self._json([_entry(file, path) for file, path in here])
        else:
            self._send(404)

    def _file(self, kind: str, name: str, revision: str, file: str) -> None:
        path = self.hub.repository(kind, name) / file
        if self._refused(name):
            return
        if revision not in ("main", COMMIT) or not path.is_file():
            code = "EntryNotFound" if revision in ("main", COMMIT) else "RevisionNotFound"
            self._send(404, X_Error_Code=code, X_Error_Message="not found", X_Repo_Commit=COMMIT)
            return
        body = path.read_bytes()
        whole = {"X_Repo_Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Accept_Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(body) - 1), len(body) - 1)
            span = f"bytes {first}-{last}/{len(body)}"
            self._send(206, body[first : last + 1], "application/octet-stream", Content_Range=span, **whole)
        else:
            self._send(200, body, "application/octet-stream", **whole)

    def do_POST(self):
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.asked.append(f"POST {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and "paths-info" not in path:
            self._send(401)
        elif path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.hub.repository(f"{wanted.get('type', 'model')}s", name).mkdir(parents=True, exist_ok=True)
            if wanted.get("private") or wanted.get("visibility") == "private":
                self.hub.private.add(name)
            self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/preupload/main", path):
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self._json({"files": files})
        elif found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/commit/main", path):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    target = self.hub.repository(found[1], found[2]) / entry["value"]["path"]
                    target.write_bytes(base64.b64decode(entry["value"]["content"]))
            self._json({"commitUrl": f"{self.hub.url}/{found[1]}/{found[2]}/commit/{COMMIT}", "commitOid": COMMIT,
                        "success": True})  # fmt: skip
        elif found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/paths-info/(.+)", path):
            folder = self.hub.repository(found[1], found[2])
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode()).get("paths", [])
            self._json([_entry(file, folder / file) for file in wanted if (folder / file).exists()])
        else:
            self._send(404)


def _entry(name: str, path: Path) -> dict:
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    body = path.read_bytes()
    return {"type": "file", "path": name, "oid": hashlib.sha1(body).hexdigest(), "size": len(body)}


@contextlib.contextmanager
def serve(folder: Path, gated: tuple[str, ...] = ()) -> Iterator[Hub]:
    """Serve the repositories of a folder until the end of the block."""
    hub = Hub(folder, set(gated))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def run(hub: Hub, folder: Path, module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a Python module in a folder, with this Hub instead of huggingface.co, and a cache in ``folder/hf``."""
    env = {
        **os.environ,
        **{"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"},
        **{"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1", "PYTHONPATH": str(SCRIPTS)},
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=600
    )
