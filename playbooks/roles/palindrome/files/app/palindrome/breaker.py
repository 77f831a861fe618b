"""Keeps a service that does not answer from slowing every request down: after a failure it is left alone for a while."""

import threading
import time


class Open(Exception):
    """The service failed a moment ago and is not asked now."""


class Breaker:
    def __init__(self, failures, seconds=3.0, clock=time.monotonic):
        self._failures = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._closed_at = 0.0

    def __enter__(self):
        with self._lock:
            if self._clock() < self._closed_at:
                raise Open()
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, self._failures):
            with self._lock:
                self._closed_at = self._clock() + self._seconds
        return False
