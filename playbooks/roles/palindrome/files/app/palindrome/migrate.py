"""Creates the database and its users, and brings the schema to what this release needs: `python -m palindrome.migrate`.

May be run any number of times and by several at once; prints what it did as one line of JSON. It runs while the release before this
one still serves, so a migration may add and may not take away what that release uses.
"""

import json
import os
import sys
from contextlib import contextmanager

import psycopg
from psycopg import sql

from palindrome.schema import FOLDER, MIGRATION_LOCK, migrations
from palindrome.settings import database

MAINTENANCE_DATABASE = "postgres"
LOCK_WAIT = "60s"


class Refused(Exception):
    """The database is not what this release can migrate."""


def migrate(admin, app, reader):
    """Returns what was done, in order; an empty list is a database that needed nothing."""
    done = []
    with _locked(admin, MAINTENANCE_DATABASE) as connection:
        done += _users(connection, app, reader)
        done += _database(connection, admin.name)
    with _locked(admin, admin.name) as connection:
        done += _schema(connection)
        done += _versions(connection)
        done += _grants(connection, app, reader)
    return done


@contextmanager
def _locked(admin, name):
    """Connects and keeps all others out until the block ends, or the connection does."""
    with psycopg.connect(**admin.arguments() | {"dbname": name}, autocommit=True) as connection:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(LOCK_WAIT)))
        connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        yield connection


def _users(connection, *users):
    done = []
    for user in users:
        if not _is_there(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", user.user):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(user.user)))
            done.append(f"created user {user.user}")
        if not _may_log_in(user):
            _set_password(connection, user)
            done.append(f"set the password of user {user.user}")
    return done


def _may_log_in(user):
    try:
        psycopg.connect(**user.arguments() | {"dbname": MAINTENANCE_DATABASE}).close()
    except psycopg.OperationalError:
        return False
    return True


def _set_password(connection, user):
    # Hashed here, so that the password itself is in no log of the server.
    hashed = connection.pgconn.encrypt_password(user.password.encode(), user.user.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user.user), sql.Literal(hashed.decode()))
    )


def _database(connection, name):
    if _is_there(connection, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        return []
    connection.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name)))
    return [f"created database {name}"]


def _schema(connection):
    if _is_there(connection, "SELECT 1 FROM pg_tables WHERE schemaname = 'palindrome' AND tablename = %s", "migrations"):
        return []
    with connection.transaction():
        connection.execute("CREATE SCHEMA IF NOT EXISTS palindrome")
        connection.execute(
            """CREATE TABLE palindrome.migrations (
                   version integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"""
        )
    return ["created schema palindrome"]


def _versions(connection):
    applied = dict(connection.execute("SELECT version, digest FROM palindrome.migrations").fetchall())
    done = []
    for migration in migrations():
        if migration.version in applied:
            if applied[migration.version] != migration.digest():
                raise Refused(f"migration {migration.version} ({migration.name}) was changed after it had been applied")
            continue
        with connection.transaction():
            connection.execute(migration.statements)
            connection.execute(
                "INSERT INTO palindrome.migrations (version, name, digest) VALUES (%s, %s, %s)",
                [migration.version, migration.name, migration.digest()],
            )
        done.append(f"applied migration {migration.version} ({migration.name})")
    return done


def _grants(connection, app, reader):
    names = {
        "database": sql.Identifier(connection.info.dbname),
        "app": sql.Identifier(app.user),
        "reader": sql.Identifier(reader.user),
    }
    with connection.transaction():
        before = _privileges(connection)
        connection.execute(sql.SQL((FOLDER / "grants.sql").read_text()).format(**names))
        return ["granted privileges"] if _privileges(connection) != before else []


def _privileges(connection):
    return connection.execute(
        """SELECT 'table', relname::text, relacl::text FROM pg_class WHERE relnamespace = 'palindrome'::regnamespace
           UNION ALL SELECT 'schema', nspname::text, nspacl::text FROM pg_namespace WHERE nspname = 'palindrome'
           UNION ALL SELECT 'database', datname::text, datacl::text FROM pg_database WHERE datname = current_database()
           ORDER BY 1, 2"""
    ).fetchall()


def _is_there(connection, query, name):
    return connection.execute(query, [name]).fetchone() is not None


def main(environ=os.environ):
    try:
        done = migrate(
            admin=database(environ, "DATABASE_ADMIN_USER", "DATABASE_ADMIN_PASSWORD"),
            app=database(environ, "DATABASE_USER", "DATABASE_PASSWORD"),
            reader=database(environ, "DATABASE_READER_USER", "DATABASE_READER_PASSWORD"),
        )
    except (psycopg.Error, Refused) as error:
        print(f"not migrated: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"not migrated: the variable {error} is not set", file=sys.stderr)
        return 2
    print(json.dumps({"changed": bool(done), "done": done}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
