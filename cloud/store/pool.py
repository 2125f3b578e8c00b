"""A pool of database connections whose every wait has an end."""

from psycopg_pool import ConnectionPool

# What one statement of the web service may take: a page of rows takes milliseconds, a batch of a
# thousand declared movements under a second; the rest is a wait for somebody's lock.
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 10_000
# A worker thread that died between BEGIN and COMMIT must not hold its rows for ever.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
POOL_WAIT_S = 5.0
POOL_SIZE = 10


def make_pool(dsn: str, program: str, size: int = POOL_SIZE) -> ConnectionPool:
    """A closed pool: `open()` it before use, `close()` it after.

    A connection is tried before it is handed out, so that a restarted server costs a moment, no error.
    `connection()` raises psycopg_pool.PoolTimeout after POOL_WAIT_S.
    """
    return ConnectionPool(
        dsn,
        kwargs={"application_name": program, "connect_timeout": CONNECT_TIMEOUT_S, "options": session_options()},
        min_size=1,
        max_size=size,
        timeout=POOL_WAIT_S,
        check=ConnectionPool.check_connection,
        name=program,
        open=False,
    )


def session_options() -> str:
    """libpq's `options` for a session of the web service."""
    settings = {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "timezone": "UTC",
        # One movement or 20,000 in an array: a plan kept from one would be wrong for the other.
        "plan_cache_mode": "force_custom_plan",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())
