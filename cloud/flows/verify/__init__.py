"""The promises, checked on a running database in one snapshot: what holds, by how much it differs, what is
not checked yet.

Differences are counted in the unit that each check names; a promise holds when every difference is 0. A room for
each kind of question, with its statements in queries/verify_<room>.sql:

    logs         promise 1: the gateways' logs and the requests of people
    stock        promise 2: quantities, pools, turnovers, the ledger
    append_only  promise 3: what the database itself refuses
    chains       promise 3: the lanes' hash chains
    own_chains   promise 3: small tables that carry a chain of their own
    vouchers     promise 3: voucher numbers
    periods      promise 4
    trace        promise 5: what each line, cost and document stands on
    replay       promise 6
"""

import psycopg

from cloud.flows.verify.append_only import APPEND_ONLY, check_append_only
from cloud.flows.verify.chains import HASHED, check_chains
from cloud.flows.verify.check import PROMISES, Check
from cloud.flows.verify.logs import check_logs
from cloud.flows.verify.own_chains import CHAINED, check_own_chains
from cloud.flows.verify.periods import check_periods
from cloud.flows.verify.replay import check_replay
from cloud.flows.verify.stock import check_stock
from cloud.flows.verify.trace import check_trace
from cloud.flows.verify.vouchers import check_vouchers

__all__ = ["APPEND_ONLY", "CHAINED", "HASHED", "PROMISES", "Check", "verify"]

_ROOMS = (
    check_logs, check_stock, check_append_only, check_chains, check_own_chains, check_vouchers, check_periods,
    check_trace, check_replay,
)  # fmt: skip


def verify(connection: psycopg.Connection) -> list[Check]:
    """Check every promise as far as built. Needs the right to read everything. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [check for room in _ROOMS for check in room(connection)]
