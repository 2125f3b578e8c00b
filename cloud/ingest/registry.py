"""Which gateways are registered: topic addresses to ids and lanes, remembered for a few seconds."""

from dataclasses import dataclass

import psycopg

from cloud.store.sql import statement
from protocols.wire.topics import GatewayAddress

REMEMBER_S = 5.0  # a gateway registered now is heard this much later at most
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Registered:
    """A gateway as the cloud knows it."""

    company_id: int
    gateway_id: int
    lane: int


class Registry:
    """Look-ups by address; what is not registered is remembered as such, so that noise costs no queries."""

    def __init__(self) -> None:
        self._known: dict[GatewayAddress, tuple[float, Registered | None]] = {}

    def find(self, connection: psycopg.Connection, address: GatewayAddress, now_s: float) -> Registered | None:
        """The gateway of this address, or None. now_s: a monotonic clock. Raises psycopg.Error."""
        remembered = self._known.get(address)
        if remembered is not None and remembered[0] > now_s:
            return remembered[1]
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        where = {"company": address.company, "site": address.site, "gateway": address.gateway}
        row = connection.execute(statement("logs", "registered_gateway"), where).fetchone()
        found = None if row is None else Registered(*row)
        self._known[address] = (now_s + REMEMBER_S, found)
        return found
