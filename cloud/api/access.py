"""Who calls: `Authorization: Bearer tg_<keyid>_<secret>`, and whether the key holds the route's scopes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import psycopg
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from psycopg_pool import ConnectionPool

from cloud.api.problems import Problem
from cloud.domain.access import Caller, Scope
from cloud.flows.api_keys import caller_of

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    bearerFormat="tg_<keyid>_<secret>",
    description="A key of one company, with scopes: read, write:master, write:movements, finance, admin.",
)


def pool_of(request: Request) -> ConnectionPool:
    """The service's connections."""
    pool: ConnectionPool = request.app.state.pool
    return pool


Pool = Annotated[ConnectionPool, Depends(pool_of)]


class Needs:
    """A dependency: the caller, who holds these scopes. Without a valid key 401, without a scope 403."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    def __call__(
        self, pool: Pool, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        """Know the caller. Raises Problem."""
        caller = None
        if credentials is not None:
            with pool.connection() as connection:
                caller = caller_of(connection, credentials.credentials)
        if caller is None:
            challenge = 'Bearer realm="tallygate"' + (', error="invalid_token"' if credentials else "")
            raise Problem(
                401,
                "unknown-key",
                "expected Authorization: Bearer tg_<keyid>_<secret> with a key that is in force",
                {"WWW-Authenticate": challenge},
            )
        if not caller.may(*self.scopes):
            needed = " ".join(self.scopes)
            raise Problem(
                403,
                "missing-scope",
                f"expected a key with the scopes {needed}, got {' '.join(sorted(caller.scopes)) or 'none'}",
                {"WWW-Authenticate": f'Bearer realm="tallygate", error="insufficient_scope", scope="{needed}"'},
                needed_scopes=list(self.scopes),
            )
        return caller


Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
MasterWriter = Annotated[Caller, Depends(Needs(Scope.WRITE_MASTER))]
MovementWriter = Annotated[Caller, Depends(Needs(Scope.WRITE_MOVEMENTS))]
# Registering a tag is master data, and what gates saw of it before becomes movements.
TagWriter = Annotated[Caller, Depends(Needs(Scope.WRITE_MASTER, Scope.WRITE_MOVEMENTS))]
FinanceReader = Annotated[Caller, Depends(Needs(Scope.FINANCE))]
# Charts and dimensions are master data of finance.
FinanceMasterWriter = Annotated[Caller, Depends(Needs(Scope.FINANCE, Scope.WRITE_MASTER))]
Admin = Annotated[Caller, Depends(Needs(Scope.ADMIN))]
AnyCaller = Annotated[Caller, Depends(Needs())]


@contextmanager
def snapshot(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    """A connection whose statements all see the books at one moment, and can change nothing."""
    with pool.connection() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection
