"""/healthz and /readyz, the two routes that a supervisor may ask without a key; neither tells a secret."""

import threading
import time
from typing import Any

import psycopg
from fastapi import APIRouter, Request
from psycopg_pool import ConnectionPool, PoolTimeout

from cloud.api.access import Pool
from cloud.api.problems import Problem
from cloud.store import readiness
from cloud.store.readiness import Readiness

router = APIRouter(tags=["health"])

READY_WAIT_S = 2.0
# Anybody may ask, so what was found serves everybody for a moment.
READY_KEPT_S = 1.0


class ReadyProbe:
    """The newest answer of the database, asked at most once in READY_KEPT_S."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._found: Readiness | str = "never asked"

    def look(self, pool: ConnectionPool) -> Readiness | str:
        """What the database is like, or why that cannot be said."""
        with self._lock:
            if time.monotonic() - self._asked_at > READY_KEPT_S:
                self._found = self._ask(pool)
                self._asked_at = time.monotonic()
            return self._found

    def _ask(self, pool: ConnectionPool) -> Readiness | str:
        try:
            with pool.connection(timeout=READY_WAIT_S) as connection:
                return readiness.look(connection)
        except (PoolTimeout, psycopg.OperationalError):
            return "the database is out of reach"
        except psycopg.errors.UndefinedTable:
            return "the database has no schema yet: run tallygate migrate"


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    """Answers while the event loop turns; asks nothing else."""
    return {"status": "alive"}


@router.get("/readyz", summary="The service can do its work")
def readyz(request: Request, pool: Pool) -> dict[str, Any]:
    """Database within reach and of the right schema. Ingest's newest lease is reported and decides nothing."""
    found = request.app.state.ready_probe.look(pool)
    if isinstance(found, str):
        raise Problem(503, "not-ready", found, {"Retry-After": "2"})
    if not found.is_ready:
        names = ", ".join(found.missing)
        raise Problem(503, "not-ready", f"the schema lacks {names}: run tallygate migrate", {"Retry-After": "10"})
    left = found.lease_left_s
    return {
        "status": "ready",
        "schema": "newer than this program" if found.unknown else "right",
        "ingest_lease": "none yet" if left is None else "held" if left > 0 else "lapsed",
        "ingest_lease_left_s": None if left is None else round(left, 1),
        "ingest_waits_for": found.ingest_waits,
    }
