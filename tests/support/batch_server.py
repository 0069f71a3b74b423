"""A local HTTP server with OpenAI's Batch API: files, batches, and results after some polls."""

import json
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BatchServer(ThreadingHTTPServer):
    """Completes the requests of a batch with ``script(body) -> (status, body)`` when it is polled for the third time.

    ``ends`` is the status with which batches end; with "expired", only the first half of the requests is completed.
    """

    daemon_threads = True

    def __init__(self, script, ends="completed", polls=3):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.ends, self.polls = script, ends, polls
        self.files, self.batches, self.keys, self.lock = {}, {}, set(), threading.Lock()
        self.lost = 0  # number of created batches whose reply is dropped

    def new_file(self, content: bytes) -> str:
        self.files[name := f"file-{len(self.files)}"] = content
        return name

    def new_batch(self, wanted: dict) -> dict:
        number = f"batch_{len(self.batches)}"
        lines = self.files[wanted["input_file_id"]].splitlines()
        self.batches[number] = {
            "id": number, "object": "batch", "endpoint": wanted["endpoint"], "input_file_id": wanted["input_file_id"],
            "completion_window": wanted["completion_window"], "created_at": 0, "status": "validating", "polls": 0,
            "metadata": wanted["metadata"], "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }  # fmt: skip
        return self.batches[number]

    def poll(self, number: str) -> dict:
        batch = self.batches[number]
        batch["polls"] += 1
        if batch["polls"] == self.polls:
            self._finish(batch)
        elif batch["polls"] < self.polls:
            batch["status"] = "in_progress"
        return batch

    def _finish(self, batch: dict) -> None:
        batch["status"] = self.ends
        if self.ends == "failed":
            batch["errors"] = {"data": [{"code": "invalid", "message": "line 1: no such model", "line": 1}]}
            return
        requests = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        done = {200: b"", 400: b""}
        for request in requests[: len(requests) // 2 if self.ends == "expired" else None][::-1]:
            status, body = self.script(request["body"])
            row = {"custom_id": request["custom_id"], "response": {"status_code": status, "body": body}, "error": None}
            done[200 if status == 200 else 400] += json.dumps(row).encode() + b"\n"
        batch["output_file_id"] = self.new_file(done[200]) if done[200] else None
        batch["error_file_id"] = self.new_file(done[400]) if done[400] else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        data = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        with server.lock:
            server.keys.add(self.headers["authorization"])
            if self.path == "/v1/files":
                head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
                parts = {
                    part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
                    for part in BytesParser().parsebytes(head + data).get_payload()
                }
                assert parts["purpose"] == b"batch"
                self._reply({"id": server.new_file(parts["file"]), "object": "file"})
            else:
                batch = server.new_batch(json.loads(data))
                if server.lost:
                    server.lost -= 1
                    self.close_connection = True
                    self.connection.close()
                else:
                    self._reply(batch)

    def do_GET(self):
        server, parts = self.server, self.path.split("?")[0].split("/")[2:]
        with server.lock:
            if parts[0] == "files":
                self._reply(server.files[parts[1]])
            elif len(parts) == 1:
                self._reply({"object": "list", "data": list(server.batches.values()), "has_more": False})
            else:
                self._reply(server.poll(parts[1]))

    def _reply(self, payload):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
