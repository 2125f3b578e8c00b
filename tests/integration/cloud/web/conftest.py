"""A house with books and its web service: one for all tests of a file that only read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from cloud.domain.access import Scope
from tests.browser import chromium, page
from tests.makers import Warehouse, make_warehouse
from tests.web_house import REQUEST_TIMEOUT_S, Client, RunningWeb, fill, person_with_key, start_web

__all__ = ["chromium", "house", "own_house", "page"]  # the fixtures; two of them are shared with other rooms


@dataclass(slots=True)
class House:
    """Books, web service, and a client that may do everything."""

    warehouse: Warehouse
    web: RunningWeb
    http: httpx.Client
    admin: Client
    owner_dsn: str
    api_dsn: str

    def client(self, *scopes: Scope) -> Client:
        """A client with a key of these scopes."""
        return Client(self.http, person_with_key(self.warehouse.owner, self.warehouse.company_id, *scopes))

    @property
    def owner(self) -> psycopg.Connection:
        """The owner's connection."""
        return self.warehouse.owner


def open_house(database: Any) -> Iterator[House]:
    """A filled house over `database`."""
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        warehouse = make_warehouse(owner, ingest)
        fill(warehouse)
        web = start_web(database.dsn_of("tallygate_api"))
        try:
            with httpx.Client(base_url=web.address, timeout=REQUEST_TIMEOUT_S) as http:
                admin = Client(http, person_with_key(owner, warehouse.company_id, Scope.ADMIN))
                yield House(warehouse, web, http, admin, database.owner_dsn, database.dsn_of("tallygate_api"))
        finally:
            web.stop()
        warehouse.check()


@pytest.fixture(scope="module")
def house(module_database: Any) -> Iterator[House]:
    """One house for all tests of a file."""
    yield from open_house(module_database)


@pytest.fixture
def own_house(clone: Callable[[str], Any], edition: str) -> Iterator[House]:
    """A house of the test's own."""
    yield from open_house(clone(edition))
