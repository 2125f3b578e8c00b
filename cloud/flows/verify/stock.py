"""Promise 2: goods, pools, turnovers and the ledger say the same."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row
from cloud.store.sql import statement

_NAMED = {
    "accounts": "inventory accounts, each apart (minor units)",
    "balances": "balances = sum of movements (10⁻⁶ units)",
    "pools": "pools = cost entries = layers, posted = rounded value, allowance = its entries",
    "pool_goods": "goods at the places of a pool = the pool's quantity (10⁻⁶ units)",
    "turnovers": "turnovers = lines (minor units)",
}


def check_stock(connection: psycopg.Connection) -> Iterator[Check]:
    """Stock value against the ledger, and every table of sums against what it sums."""
    rows = connection.execute(statement("verify_stock", "stock_and_ledger"))
    for code, currency, digits, stock, ledger in rows:
        detail = f"{code}: {_money(stock, digits)} {currency} = {_money(ledger, digits)} {currency}"
        yield Check(2, "stock value = ledger", abs(stock - ledger), detail)
    for query, name in _NAMED.items():
        count, difference = one_row(connection, "verify_stock", query)
        yield Check(2, name, int(difference), f"{count} wrong" if count else "")
    yield Check(2, "entries that do not balance", one_row(connection, "verify_stock", "entries")[0])
    count, difference = one_row(connection, "open_items", "differences")
    yield Check(
        2,
        "accounts with items = their items; goods in transit and in clarification = their layers (minor units)",
        int(difference),
        f"{count} wrong" if count else "",
    )
    rounding = one_row(connection, "verify_stock", "rounding")[0]
    yield Check(2, "rounding account, worked out again (minor units)", int(rounding))


def _money(minor: int, digits: int) -> str:
    sign, whole = "-" if minor < 0 else "", abs(minor)
    return f"{sign}{whole // 10**digits}" + (f".{whole % 10**digits:0{digits}d}" if digits else "")
