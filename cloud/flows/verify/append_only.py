"""Promise 3: the database itself refuses to change what was recorded."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row
from cloud.flows.verify.own_chains import CHAINED
from cloud.store.migrate import SERVICE_ROLES

APPEND_ONLY = (
    "observations", "movements", "batches", "value_events", "cost_entries", "allowance_entries",
    "consumption_links", "ledger_documents", "journal_entries", "journal_lines", "voucher_numbers", "exchange_rates",
    "period_events", "close_reports", "quarantine", "quarantine_resolutions", "log_losses", "incarnations",
)  # fmt: skip


def check_append_only(connection: psycopg.Connection) -> Iterator[Check]:
    """Triggers that refuse, and no service with a right to change or own a table."""
    names = {"tables": list(APPEND_ONLY), "chained": list(CHAINED), "roles": list(SERVICE_ROLES)}
    wrong = one_row(connection, "verify_append_only", "refusals", **names)[0]
    yield Check(3, "tables that refuse change", wrong, f"{len(APPEND_ONLY)} tables, {len(SERVICE_ROLES)} services")
