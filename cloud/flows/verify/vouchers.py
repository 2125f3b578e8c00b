"""Promise 3: voucher numbers are derived from the recorded order, once: worked out again from the entries."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row


def check_vouchers(connection: psycopg.Connection) -> Iterator[Check]:
    """Numbers against entries."""
    wrong = one_row(connection, "vouchers", "check")[0]
    yield Check(
        3, "voucher numbers = recorded order, no gaps, every entry of a locked period numbered", int(wrong)
    )
