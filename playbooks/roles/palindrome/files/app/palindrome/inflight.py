"""How long the requests of this node have been running, across all worker processes.

Every thread of every worker owns one number in memory that the workers share: when its request began, or 0. Each number has one
writer, so nothing is locked; the clock is the machine's, the same in all processes.
"""

import mmap
import struct
import threading
import time

_NUMBER = struct.Struct("d")


class InFlight:
    def __init__(self, workers, threads, clock=time.monotonic):
        self._threads = threads
        self._clock = clock
        self._memory = mmap.mmap(-1, workers * threads * _NUMBER.size)
        self._free = list(range(workers))
        self._first = 0
        self._own = threading.local()
        self._taken = 0
        self._lock = threading.Lock()
        self._slots = {}

    # In the arbiter, the one process that forks.

    def take(self, worker):
        """Gives a worker that is about to be forked its numbers; where there are more workers than foreseen, the first ones once more."""
        slot = self._free.pop(0) if self._free else None
        self._slots[worker] = slot
        self._first = (slot if slot is not None else 0) * self._threads

    def release(self, worker):
        """Takes them back from one that ended, whatever it was doing."""
        slot = self._slots.pop(worker, None)
        if slot is None:
            return
        for number in range(slot * self._threads, (slot + 1) * self._threads):
            self._write(number, 0.0)
        self._free.append(slot)

    # In a worker.

    def begin(self):
        self._write(self._number(), self._clock())

    def end(self):
        self._write(self._number(), 0.0)

    def longest(self):
        """Returns for how many seconds the oldest running request has run."""
        began = [at for (at,) in _NUMBER.iter_unpack(self._memory[:]) if at > 0.0]
        return self._clock() - min(began) if began else 0.0

    def _number(self):
        if not hasattr(self._own, "number"):
            with self._lock:
                self._own.number = self._first + self._taken % self._threads
                self._taken += 1
        return self._own.number

    def _write(self, number, value):
        _NUMBER.pack_into(self._memory, number * _NUMBER.size, value)
