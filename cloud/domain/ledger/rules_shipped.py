"""The posting rules that every company starts with, whatever its chart; docs/postings.md is their page for people.

Rules speak of roles; a chart maps them to accounts (cloud/domain/ledger/charts.py). Amounts are at cost; a receipt's
other side is the order's price × rate. A company adds rules of its own, and ends those that it does not want.
"""

from collections.abc import Mapping

from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.movement import Kind

# Why goods are scrapped, in the words that the shipped rules know. Ordinary losses are administrative expenses, what
# theft and nature take is extraordinary (ASBE, application guidance to 6602 管理费用 and 6711 营业外支出).
DAMAGE, EXPIRY, THEFT, DISASTER = "damage", "expiry", "theft", "disaster"

_RULES: tuple[tuple[Kind, str, str, str | None], ...] = (  # kind, debit, credit, reason
    (Kind.PURCHASE_RECEIPT, POOL, "grni", None),
    (Kind.SUPPLIER_RETURN, "grni", POOL, None),
    (Kind.SALES_SHIPMENT, "cogs", POOL, None),
    (Kind.CUSTOMER_RETURN, POOL, "cogs", None),
    (Kind.TRANSFER_OUT, POOL, POOL, None),
    (Kind.TRANSFER_IN, POOL, POOL, None),
    (Kind.OPENING_STOCK, POOL, "opening_equity", None),
    (Kind.SCRAP, "loss", POOL, None),
    (Kind.SCRAP, "admin_loss", POOL, DAMAGE),
    (Kind.SCRAP, "write_down", POOL, EXPIRY),
    (Kind.SCRAP, "loss", POOL, THEFT),
    (Kind.SCRAP, "loss", POOL, DISASTER),
    (Kind.COUNT_GAIN, POOL, "clarification", None),
    (Kind.COUNT_LOSS, "clarification", POOL, None),
    (Kind.UNEXPLAINED_IN, POOL, "clarification", None),
    (Kind.UNEXPLAINED_OUT, "clarification", POOL, None),
    (Kind.INTERNAL_MOVE, POOL, POOL, None),
    (Kind.PRODUCTION_ISSUE, POOL, POOL, None),
    (Kind.PRODUCTION_RECEIPT, POOL, POOL, None),
    (Kind.PRODUCTION_START, POOL, "production_variance", None),
    (Kind.PRODUCTION_END, "production_variance", POOL, None),
    (Kind.GROUP_SHIPMENT, "cogs", POOL, None),
    (Kind.GROUP_RECEIPT, POOL, "group_payable", None),
    (Kind.PRICE_CORRECTION, POOL, "grni", None),
    (Kind.LANDED_COST, POOL, "landed_clearing", None),
    (Kind.LABOUR, POOL, "absorbed", None),
    (Kind.OVERHEAD, POOL, "absorbed", None),
    (Kind.WRITE_DOWN, "write_down", "allowance", None),
    (Kind.STANDARD_CHANGE, POOL, "revaluation", None),
    (Kind.METHOD_CHANGE, POOL, "revaluation", None),
    (Kind.REVALUATION, POOL, "revaluation", None),
)

POSTING_RULES = tuple(
    PostingRule(
        kind, item_class=None, site_id=None, debit_role=debit, credit_role=credit, priority=0, reason=reason
    )
    for kind, debit, credit, reason in _RULES
)

# Goods shipped not invoiced (发出商品), where a company keeps them: both rules come and go together.
SHIPPED_PRIORITY = 100
SHIPPED_NOT_INVOICED = (
    PostingRule(Kind.SALES_SHIPMENT, None, None, "shipped", POOL, SHIPPED_PRIORITY),
    PostingRule(Kind.CUSTOMER_RETURN, None, None, POOL, "shipped", SHIPPED_PRIORITY),
)

_DOCUMENT = "a document names the accounts of its lines itself"
# Kinds that no rule covers, and why.
WITHOUT_RULE: Mapping[Kind, str] = {
    Kind.PERIOD_SETTLEMENT: "its entries follow the accounts of the issues that it settles",
    Kind.RECOSTING: "its entries follow the accounts of what they correct, difference only",
} | {kind: _DOCUMENT for kind in Kind if kind.is_document}
