"""Expectations written as people name them: their dimensions become the sets that movements will carry."""

from collections.abc import Sequence
from datetime import date

import psycopg

from cloud.domain.catalog import Expectation
from cloud.flows.ledger.name_dimensions import UnknownDimension, dimension_sets
from cloud.store import master


class WrongDimensions(LookupError):
    """An expectation names dimensions that the company does not have; `row` is its number from 0."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(f"expectation {row + 1}, dimensions: {why}")
        self.row = row
        self.why = why


def expect_goods(
    connection: psycopg.Connection, company_id: int, expectations: Sequence[Expectation], day: date
) -> list[int]:
    """The expectation_id of each, in order. Raises WrongDimensions, UnknownCode, psycopg.Error.

    day  on which values of dimensions must be valid: goods are expected from it on
    """
    numbers = []
    for row, found in enumerate(
        dimension_sets(connection, company_id, [(one.dimensions, day) for one in expectations])
    ):
        if isinstance(found, UnknownDimension):
            raise WrongDimensions(row, str(found))
        numbers.append(found)
    return master.add_expectations(connection, company_id, expectations, numbers)
