"""The smallest application that a rollout can be tried on; BREAK says how it is broken.

exit: ends at once; health: never healthy; crash: healthy, and ends after 20 s; errors: one request in twenty fails;
leak: takes memory until it is killed.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlsplit

BREAK = os.environ.get("BREAK", "")
RELEASE = os.environ.get("RELEASE", "?")


class InFlight:
    """Requests that were begun and have not ended."""

    def __init__(self):
        self.lock, self.number = threading.Condition(), 0

    def __enter__(self):
        with self.lock:
            self.number += 1

    def __exit__(self, *_):
        with self.lock:
            self.number -= 1
            self.lock.notify_all()

    def wait(self):
        with self.lock:
            self.lock.wait_for(lambda: self.number == 0)


IN_FLIGHT = InFlight()
NUMBERS = count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        with IN_FLIGHT:
            status, answer = self.judge(urlsplit(self.path))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

    def judge(self, url):
        if url.path == "/healthz":
            return (503, {"status": "broken"}) if BREAK == "health" else (200, {"status": "ok"})
        if url.path == "/version":
            return 200, {"release": RELEASE}
        if url.path == "/slow":
            time.sleep(min(float(parse_qs(url.query).get("seconds", ["1"])[0]), 30))
        elif BREAK == "errors" and next(NUMBERS) % 20 == 0:
            return 500, {"error": "broken"}
        return 200, {"release": RELEASE, "path": url.path}

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def leak():
    kept = []
    while True:
        kept.append(bytearray(8 << 20))
        for page in range(0, 8 << 20, 4096):
            kept[-1][page] = 1
        time.sleep(0.25)


def main():
    print(f"release {RELEASE} starts", flush=True)
    if BREAK == "exit":
        sys.exit("broken: cannot start")
    if BREAK == "crash":
        threading.Timer(20, lambda: (print("broken: crashes now", flush=True), os._exit(3))).start()
    if BREAK == "leak":
        threading.Thread(target=leak, daemon=True).start()
    server = Server(("0.0.0.0", 5000), Handler)

    def stop():
        IN_FLIGHT.wait()
        os._exit(0)

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop).start())
    server.serve_forever()


main()
