"""A PostgreSQL server that somebody else runs, for tests: TALLYGATE_TEST_DSN names its superuser.

What `standalone.postgres.Postgres` does for servers of our own, as far as tests ask it of one that they did not start.
The server has to be there for tests alone: its roles get new passwords, and databases of that prefix are dropped.
"""

import os
import secrets
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

VARIABLE = "TALLYGATE_TEST_DSN"
PREFIX = "tallygate_tests_"
CONNECT_TIMEOUT_S = 10
_ADVISORY_LOCK = 0x7A11_7E57  # one run at a time: roles and the template are shared


class NotForTests(RuntimeError):
    """The server is not one for tests alone."""


def given_dsn() -> str | None:
    """The superuser's connection string, where the environment names one."""
    return os.environ.get(VARIABLE) or None


class GivenServer:
    """The server; `start` looks whether it is one for tests, `stop` leaves it as it was but for the roles."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._passwords: dict[str, str] = {}
        self._session: psycopg.Connection | None = None

    def start(self) -> None:
        """Take the server for this run. Raises NotForTests, psycopg.Error."""
        session = psycopg.connect(self._dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        try:
            _take(session)
            _check_databases(session)
        except BaseException:
            session.close()
            raise
        self._session = session
        self._drop_leftovers()

    def stop(self) -> None:
        """Drop what tests left and let the next run in."""
        if self._session is not None:
            self._drop_leftovers()
            self._session.close()
            self._session = None

    def remove(self) -> None:
        """Nothing: what is somebody else's stays."""

    @property
    def port(self) -> int:
        """Its TCP port."""
        return int(conninfo_to_dict(self._dsn).get("port") or 5432)

    @property
    def superuser_dsn(self) -> str:
        """How to reach it as superuser."""
        return self._dsn

    def dsn(self, dbname: str, user: str | None = None) -> str:
        """How to reach `dbname` as the superuser, or as one who was given to `ensure_login`."""
        given = conninfo_to_dict(self._dsn)
        name = given.get("user") or "postgres" if user is None else user
        password = given.get("password") or "" if user is None else self._passwords[user]
        host, port = given.get("host") or "localhost", self.port
        return f"postgresql://{quote(str(name))}:{quote(str(password), safe='')}@{host}:{port}/{quote(dbname)}"

    def ensure_login(self, user: str, owns_schema: bool = False) -> None:
        """A role that may sign in with a password of this run; as Postgres.ensure_login."""
        connection = self._running()
        password = self._passwords.setdefault(user, secrets.token_urlsafe(24))
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [user]).fetchone()
        verb = "ALTER" if known else "CREATE"
        rights = "CREATEROLE" if owns_schema else "NOCREATEROLE"
        connection.execute(
            sql.SQL(f"{verb} ROLE {{}} LOGIN {rights} PASSWORD {{}}").format(
                sql.Identifier(user), sql.Literal(password)
            )
        )
        if owns_schema:
            connection.execute(sql.SQL("GRANT pg_read_all_settings TO {}").format(sql.Identifier(user)))

    def ensure_database(self, dbname: str, owner: str) -> None:
        """A database of that name and owner; nothing happens when it is there."""
        connection = self._running()
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [dbname]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), sql.Identifier(owner))
            )

    def _drop_leftovers(self) -> None:
        connection = self._running()
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [PREFIX]
        ).fetchall()
        for (name,) in left:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _running(self) -> psycopg.Connection:
        if self._session is None:
            raise RuntimeError(f"the server of {VARIABLE} is not taken: start comes first")
        return self._session


def _take(session: psycopg.Connection) -> None:
    taken = session.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]).fetchone()
    if taken != (True,):
        raise NotForTests(f"another run of the tests uses the server of {VARIABLE}")


def _check_databases(session: psycopg.Connection) -> None:
    others = session.execute(
        "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        " AND datname <> current_database() AND NOT starts_with(datname, %s) ORDER BY 1",
        [PREFIX],
    ).fetchall()
    if others:
        raise NotForTests(
            f"expected a server for tests alone in {VARIABLE}, got one with databases of its own: "
            + ", ".join(name for (name,) in others)
        )
