"""The promises, checked on a running database in one snapshot: what holds, by how much it differs, what is
not checked yet.

Differences are counted in the unit that each check names; a promise holds when every difference is 0. A room for
each kind of question, with its statements in queries/verify_<room>.sql:

    logs         promise 1: the gateways' logs and the requests of people
    stock        promise 2: quantities, pools, turnovers, the ledger
    snapshots    promise 2: balance snapshots
    derived      promises 1 and 2: the other derived tables
    ledger       promises 2, 3 and 5: currencies, accounts, dimensions, documents
    append_only  promise 3: what the database itself refuses
    chains       promise 3: the lanes' hash chains
    own_chains   promise 3: small tables that carry a chain of their own
    witness      promise 3: what gateways were told of the chains
    vouchers     promise 3: voucher numbers
    periods      promise 4
    trace        promise 5: what each line, cost and document stands on
    replay       promise 6
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import psycopg

from cloud.domain.batch import HASHED
from cloud.flows.verify.append_only import APPEND_ONLY, check_append_only
from cloud.flows.verify.chains import check_chains
from cloud.flows.verify.check import PROMISES, Check
from cloud.flows.verify.derived import check_derived
from cloud.flows.verify.ledger import check_ledger
from cloud.flows.verify.logs import check_logs
from cloud.flows.verify.own_chains import CHAINED, check_own_chains
from cloud.flows.verify.periods import check_periods
from cloud.flows.verify.replay import check_replay
from cloud.flows.verify.snapshots import check_snapshots
from cloud.flows.verify.stock import check_stock
from cloud.flows.verify.trace import check_trace
from cloud.flows.verify.vouchers import check_vouchers
from cloud.flows.verify.witness import check_witnesses
from protocols.wire.applied import Applied

__all__ = ["APPEND_ONLY", "CHAINED", "HASHED", "PROMISES", "Check", "verify"]

Room = Callable[[psycopg.Connection], Iterator[Check]]

# The promise that a room speaks for, when it cannot be asked.
_ROOMS: tuple[tuple[int, str, Room], ...] = (
    (1, "logs", check_logs),
    (2, "stock", check_stock),
    (2, "balance snapshots", check_snapshots),
    (2, "derived tables", check_derived),
    (2, "ledger", check_ledger),
    (3, "refusals", check_append_only),
    (3, "hash chains", check_chains),
    (3, "chains of the small tables", check_own_chains),
    (3, "voucher numbers", check_vouchers),
    (4, "periods", check_periods),
    (5, "trace", check_trace),
    (6, "replay", check_replay),
)


def verify(connection: psycopg.Connection, witnesses: Sequence[Applied] = ()) -> list[Check]:
    """Check every promise as far as built. Needs the right to read everything. Raises psycopg.Error.

    witnesses  what gateways were told, kept outside of the database: its chains must still have those heads
    """
    rooms: tuple[tuple[int, str, Room], ...] = (
        *_ROOMS,
        (3, "witnesses", partial(check_witnesses, kept=witnesses)),
    )
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [check for promise, name, room in rooms for check in _asked(connection, promise, name, room)]


def _asked(connection: psycopg.Connection, promise: int, name: str, room: Room) -> list[Check]:
    """A room's checks. Books that were changed to what cannot be reckoned with silence no other room."""
    try:
        with connection.transaction():
            return list(room(connection))
    except (psycopg.DataError, ArithmeticError, LookupError, ValueError) as error:
        return [Check(promise, f"{name}: cannot be worked out", 1, " ".join(str(error).split()))]
