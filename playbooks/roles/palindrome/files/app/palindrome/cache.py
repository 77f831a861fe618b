"""Answers already given, in Redis. A Redis that is down costs speed, never an answer."""

import hashlib

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from palindrome.breaker import Breaker, Open

KEPT_SECONDS = 3600


class Cache:
    def __init__(self, settings):
        self._redis = redis.Redis(
            host=settings.host,
            port=settings.port,
            password=settings.password or None,
            ssl=settings.tls,
            socket_connect_timeout=1,
            socket_timeout=1,
            # Once more, at once: a connection kept from before a restart of Redis is dead, Redis is not.
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )
        self._breaker = Breaker(redis.RedisError)

    def answer(self, text):
        """Returns the remembered answer, or None."""
        try:
            with self._breaker:
                return {"1": True, "0": False}.get(self._redis.get(_key(text)))
        except (redis.RedisError, Open):
            return None

    def remember(self, text, answer):
        try:
            with self._breaker:
                self._redis.set(_key(text), "1" if answer else "0", ex=KEPT_SECONDS)
        except (redis.RedisError, Open):
            pass


def _key(text):
    return "palindrome:" + hashlib.sha256(text.encode()).hexdigest()
