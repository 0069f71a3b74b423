"""A local HTTP server that imitates a model server and its faults."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.lock = script, threading.Lock()
        self.seen, self.times, self.under_way, self.most = [], [], 0, 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.seen.append((self.headers["authorization"], body))
            server.times.append(time.monotonic())
            server.under_way += 1
            server.most = max(server.most, server.under_way)
            number = len(server.seen)
        try:
            status, headers, payload = server.script(number, body)
        finally:
            with server.lock:
                server.under_way -= 1
        if status is None:  # drop the connection without a response
            self.close_connection = True
            self.connection.close()
            return
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)


def good(text="hello", reason="stop", prompt=10, answer=5, **message):
    return (
        200,
        {},
        {
            "id": "x", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "finish_reason": reason,
                         "message": {"role": "assistant", "content": text, **message}}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
        },
    )  # fmt: skip


def failure(status, message="no", headers=None, code=None):
    return status, headers or {}, {"error": {"message": message, "code": code, "type": "x"}}
