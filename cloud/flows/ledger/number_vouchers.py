"""Voucher numbers (凭证号): every entry gets one, per company, period and voucher word, without gaps.

Numbers follow the order in which entries were recorded, (transaction, lane, batch, row), not that of their dates: an
entry that comes late to a soft-closed period gets the next number there. Only what lies below the oldest transaction
that may still commit is numbered, so that nothing can ever come before a number that is given. A number once given
never changes; a locked period is numbered to its end by the lock itself.

The words: 记 for all entries, or where companies.voucher_words says `three`: 付 for an entry that credits cash or
bank, 收 for one that only debits them, 转 for all others. An entry keeps the word it was numbered with. That a transfer
between two such accounts is a 付 is the custom: money is counted where it leaves.
"""

import psycopg

from cloud.flows.ledger.post_document import database_refusals
from cloud.store.ledger import vouchers


def number_vouchers(connection: psycopg.Connection, company_id: int, period_id: int | None = None) -> int:
    """Number what is recorded and has no number yet; how many entries that were. Raises CannotPost, psycopg.Error.

    period_id  yyyymm, only the entries of this period; None: of all. It costs what is new, whatever is numbered
    already. Beside another numbering of the company it waits for it; batches go on meanwhile.
    """
    with database_refusals(), connection.transaction():
        return vouchers.number(connection, company_id, period_id)


def number_all(connection: psycopg.Connection) -> int:
    """Number every company that has something new: a job's sweep. Raises psycopg.Error."""
    return sum(number_vouchers(connection, company_id) for company_id in vouchers.companies_that_wait(connection))
