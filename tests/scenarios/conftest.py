"""Stories run in a warehouse of their own; after each, every promise must hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.conftest import drop
from tests.makers import Warehouse, make_warehouse


@pytest.fixture
def new_warehouse(clone: Callable[[str], Any], edition: str) -> Iterator[Callable[..., Warehouse]]:
    """Make companies with two sites and four gates, each in a database of its own."""
    with ExitStack() as stack:
        made: list[Warehouse] = []

        def make(currency: str = "CNY", profile: str = "ASBE") -> Warehouse:
            database = clone(edition)
            stack.callback(drop, database)  # when its connections are closed
            owner = stack.enter_context(psycopg.connect(database.owner_dsn, autocommit=True))
            ingest = stack.enter_context(psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True))
            made.append(make_warehouse(owner, ingest, currency, profile))
            return made[-1]

        yield make
        for warehouse in made:
            warehouse.check()


@pytest.fixture
def warehouse(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """One warehouse; promises are checked behind every story."""
    return new_warehouse()
