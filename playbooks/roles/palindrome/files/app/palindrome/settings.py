"""Everything that comes from outside, read once from the environment."""

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Database:
    host: str
    port: int
    name: str
    user: str
    password: str
    sslmode: str

    def arguments(self):
        """Returns what psycopg connects with."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.name,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            "connect_timeout": 2,
            "application_name": "palindrome",
        }


@dataclass(frozen=True)
class Redis:
    host: str
    port: int
    password: str
    tls: bool


@dataclass(frozen=True)
class Settings:
    release: str
    node: str
    database: Database
    reader: Database
    redis: Redis
    request_seconds_max: int
    long_seconds: float
    workers: int
    threads: int
    broken: str


def database(environ, user, password):
    host, port = _endpoint(environ["DATABASE_ENDPOINT"], 5432)
    return Database(
        host=host,
        port=port,
        name=environ["DATABASE_NAME"],
        user=environ[user],
        password=environ[password],
        sslmode=environ.get("DATABASE_SSLMODE", "prefer"),
    )


def settings(environ=os.environ):
    redis_host, redis_port = _endpoint(environ["REDIS_ENDPOINT"], 6379)
    return Settings(
        release=environ.get("PALINDROME_RELEASE", "unknown"),
        node=environ.get("PALINDROME_NODE") or socket.gethostname(),
        database=database(environ, "DATABASE_USER", "DATABASE_PASSWORD"),
        reader=database(environ, "DATABASE_READER_USER", "DATABASE_READER_PASSWORD"),
        redis=Redis(
            host=redis_host,
            port=redis_port,
            password=environ.get("REDIS_PASSWORD", ""),
            tls=environ.get("REDIS_TLS", "false").lower() == "true",
        ),
        request_seconds_max=int(environ.get("REQUEST_SECONDS_MAX", "30")),
        long_seconds=float(environ.get("PALINDROME_LONG_SECONDS", "5")),
        workers=int(environ.get("WEB_CONCURRENCY", "2")),
        threads=int(environ.get("WEB_THREADS", "32")),
        broken=environ.get("PALINDROME_BREAK", ""),
    )


def _endpoint(text, port):
    host, _, given = text.partition(":")
    return host, int(given or port)
