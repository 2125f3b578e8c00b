"""Tables that are derived from the recorded ones: worked out again here or in the rooms of their promises.

DERIVED says which check holds each of them against what it is derived from, UNCHECKED why none does. A table that is
neither appended to only nor named here is one that nobody has thought about, and a test says so.
"""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row

DERIVED = {
    "balance_marks": "stretches and marks of balance snapshots",
    "balance_snapshots": "stretches and marks of balance snapshots",
    "balances": "balances = sum of movements (10⁻⁶ units)",
    "chain_heads": "chains of the small tables",
    "cost_layers": "pools = cost entries = layers, posted = rounded value, allowance = its entries",
    "cost_pools": "pools = cost entries = layers, posted = rounded value, allowance = its entries",
    "gateway_logs": "numbers of the gateways' logs",
    "item_costs": "costs of a run in the world's order, for components at rest",
    "journal_drafts": "drafts = priced shipments and returns",
    "lane_heads": "hash chains",
    "open_observations": "tags that wait for their item",
    "periods": "periods that are not where their changes led",
    "places": "places of tags = their newest sighting",
    "snapshot_balances": "balance snapshots = sum of movements until their moment (10⁻⁶ units)",
    "turnovers": "turnovers = lines (minor units)",
}

_SETTINGS = "set by people or their software; the books keep what came of it"
_PICTURE = "a picture for people, replaced by the next message; nothing is booked from it"
_SIGNAL = "signals of devices, kept for a while; nothing is booked from them"
UNCHECKED = {
    # Derived, and of no weight of their own.
    "cost_cuts": "a snapshot that may be deleted; promise 6 costs the whole log without it, and finds what it spoils",
    "cost_cut_pools": "as cost_cuts",
    "cost_cut_layers": "as cost_cuts",
    "voucher_marks": "where numbering goes on; the numbers themselves are worked out again",
    "cloud_requests": "promises to callers; promise 1 looks for everything promised",
    # Who works where, and what devices say.
    "ingest_workers": "who may take leases",
    "unplaced_tags": "rows to lock; empty after a crash",
    "lane_leases": "who may write now",
    "gate_readings": _PICTURE,
    **dict.fromkeys(("reading_series", "readings", "reading_minutes", "reading_hours", "reading_retention"), _SIGNAL),
    "gateway_status": "what gateways say of themselves; heads in it that are no batch's are found",
    "unknown_gateways": _PICTURE,
    # What people say: master data, charts, rules, rights.
    **dict.fromkeys(
        (
            "account_dimensions", "accounts", "allocation_rules", "api_keys", "companies", "dimension_set_values",
            "dimension_sets", "dimension_types", "dimension_values", "expectations", "gates", "gateways", "items",
            "locations", "lots", "parties", "people", "person_roles", "posting_rules", "sessions", "tags",
            "work_order_components", "work_orders",
        ),
        _SETTINGS,
    ),
    **dict.fromkeys(
        ("control_writers", "currencies", "movement_kinds", "outcomes", "schema_migrations"),
        "written by migrations; a test compares it with the code",
    ),
}  # fmt: skip


def check_derived(connection: psycopg.Connection) -> Iterator[Check]:
    """Those that no other room asks about."""

    def asked(query: str) -> int:
        return int(one_row(connection, "verify_derived", query)[0])

    yield Check(1, "tags that wait for their item", asked("open_observations"))
    yield Check(2, "places of tags = their newest sighting", asked("places"))
    yield Check(2, "layers whose source says otherwise", asked("layers"))
    yield Check(2, "pools and balances whose key says otherwise", asked("pool_keys"))
    yield Check(2, "drafts = priced shipments and returns", asked("drafts"))
