"""What was asked, in PostgreSQL: written by one user, listed by another that may only read."""

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from palindrome.breaker import Breaker, Open
from palindrome.schema import MIGRATION_LOCK, newest

FAILURES = (psycopg.Error, PoolTimeout)
LISTED_MAX = 50


class Unavailable(Exception):
    """PostgreSQL did not answer."""


class Store:
    def __init__(self, database, reader):
        self._writers = _pool(database, "writer", most=4)
        self._readers = _pool(reader, "reader", most=2)
        self._breaker = Breaker(FAILURES)

    def open(self):
        """Starts the pools. Called in each worker after the fork: connections cannot be shared by two processes."""
        self._writers.open()
        self._readers.open()

    def close(self):
        self._writers.close()
        self._readers.close()

    def record(self, text, answer):
        self._run(
            self._writers,
            """INSERT INTO palindrome.checks (digest, text, palindrome) VALUES (sha256(convert_to(%(text)s, 'UTF8')), %(text)s, %(answer)s)
               ON CONFLICT (digest) DO UPDATE SET times = checks.times + 1, checked_at = now()""",
            {"text": text, "answer": answer},
        )

    def recent(self):
        return self._run(
            self._readers,
            "SELECT text, palindrome, times, checked_at FROM palindrome.checks ORDER BY checked_at DESC LIMIT %(most)s",
            {"most": LISTED_MAX},
        )

    def hold(self):
        """Returns why an operator holds deployments back, or None."""
        rows = self._run(
            self._writers,
            "SELECT reason FROM palindrome.deploy_holds WHERE until > now() ORDER BY until DESC LIMIT 1",
        )
        return rows[0]["reason"] if rows else None

    def migration(self):
        """Returns what the schema waits for, or None."""
        rows = self._run(
            self._writers,
            """SELECT pg_try_advisory_xact_lock_shared(%(lock)s) AS is_free,
                      (SELECT coalesce(max(version), 0) FROM palindrome.migrations) AS version""",
            {"lock": MIGRATION_LOCK},
        )
        if not rows[0]["is_free"]:
            return "a migration is running"
        if rows[0]["version"] < newest():
            return f"migration {newest()} is pending; the database is at {rows[0]['version']}"
        return None

    def _run(self, pool, query, values=None):
        try:
            with self._breaker, pool.connection(timeout=1) as connection:
                cursor = connection.execute(query, values)
                return cursor.fetchall() if cursor.description else []
        except Open as error:
            raise Unavailable("PostgreSQL failed a moment ago") from error
        except FAILURES as error:
            raise Unavailable(type(error).__name__) from error


def _pool(database, name, most):
    return ConnectionPool(
        kwargs=database.arguments() | {"row_factory": dict_row, "options": "-c statement_timeout=3000"},
        min_size=1,
        max_size=most,
        max_idle=60,
        check=ConnectionPool.check_connection,
        open=False,
        name=name,
    )
