"""Charts of accounts and posting rules as they ship: ASBE and a generic IFRS one.

A chart maps *roles* to account numbers and names; posting rules speak of roles only, so that the same
movement posts alike under either chart. The role `POOL` stands for the account of the movement's own
cost pool and is no account itself. Companies get a copy of this data when they are set up; they may add
rules of a higher priority afterwards.

Sources: numbers of the accounts with four digits are those of the application guidance to the Chinese
Accounting Standards for Business Enterprises (appendix of 2006); sub-accounts are ours. IFRS prescribes
no numbers; the generic chart's are ours.
"""

from dataclasses import dataclass

from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.movement import Kind

# Goods stand on these: the ledger's side of "stock value = ledger".
STOCK_ROLES = ("raw_material", "goods", "in_transit", "clarification_stock", "wip")

# Written only by their movements or sub-ledger documents, never by hand (GLOSSARY.md, control account).
CONTROL_ROLES = frozenset((*STOCK_ROLES, "grni", "clarification", "rounding", "allowance"))


class UnknownProfile(ValueError):
    """No chart ships for this accounting profile."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a chart; `role` is what posting rules call it."""

    role: str
    number: str
    name_zh: str
    name_en: str

    @property
    def is_control(self) -> bool:
        """Whether only movements and sub-ledger documents write it."""
        return self.role in CONTROL_ROLES


ASBE = (
    Account("raw_material", "1403", "原材料", "Raw materials"),
    Account("goods", "1405", "库存商品", "Merchandise and finished goods"),
    Account("in_transit", "140591", "库存商品——调拨在途", "Goods in transit between own sites"),
    Account("clarification_stock", "140592", "库存商品——待处理", "Goods in clarification"),
    Account("clarification", "1901", "待处理财产损溢", "Property gains and losses awaiting clarification"),
    Account("grni", "220201", "应付账款——暂估", "Goods received not invoiced"),
    Account("opening_equity", "410499", "利润分配——期初余额", "Opening balance equity"),
    Account("cogs", "6401", "主营业务成本", "Cost of goods sold"),
    Account("price_difference", "640191", "主营业务成本——进货价差", "Purchase price differences"),
    Account("rounding", "660391", "财务费用——尾差", "Rounding differences"),
    Account("loss", "6711", "营业外支出", "Losses of goods"),
    Account("wip", "5001", "生产成本", "Work in progress"),
    Account("allowance", "1471", "存货跌价准备", "Allowance for inventory write-downs"),
    Account("absorbed", "5101", "制造费用", "Labour, energy and overhead absorbed"),
    Account("ppv", "1404", "材料成本差异", "Purchase price variance"),
    Account("usage_variance", "640192", "主营业务成本——用量差异", "Usage variance"),
    Account("production_variance", "640193", "主营业务成本——生产差异", "Production variance"),
    Account("revaluation", "640194", "主营业务成本——存货重估", "Revaluation of stock"),
    Account("write_down", "6701", "资产减值损失", "Write-downs of inventory"),
    Account("landed_clearing", "220202", "应付账款——采购费用暂估", "Landed cost not invoiced"),
)

GENERIC_IFRS = (
    Account("raw_material", "1310", "原材料", "Raw materials"),
    Account("goods", "1320", "商品", "Merchandise and finished goods"),
    Account("in_transit", "1330", "调拨在途", "Goods in transit between own sites"),
    Account("clarification_stock", "1340", "待处理存货", "Goods in clarification"),
    Account("clarification", "1390", "待处理损溢", "Stock differences awaiting clarification"),
    Account("grni", "2110", "暂估应付账款", "Goods received not invoiced"),
    Account("opening_equity", "3900", "期初余额", "Opening balance equity"),
    Account("cogs", "5000", "销售成本", "Cost of sales"),
    Account("price_difference", "5100", "进货价差", "Purchase price differences"),
    Account("rounding", "5900", "尾差", "Rounding differences"),
    Account("loss", "5910", "存货损失", "Losses of goods"),
    Account("wip", "1350", "在产品", "Work in progress"),
    Account("allowance", "1360", "存货跌价准备", "Allowance for inventory write-downs"),
    Account("absorbed", "5800", "已吸收制造费用", "Labour, energy and overhead absorbed"),
    Account("ppv", "5200", "采购价格差异", "Purchase price variance"),
    Account("usage_variance", "5210", "用量差异", "Usage variance"),
    Account("production_variance", "5220", "生产差异", "Production variance"),
    Account("revaluation", "5230", "存货重估差异", "Revaluation of stock"),
    Account("write_down", "5920", "存货跌价损失", "Write-downs of inventory"),
    Account("landed_clearing", "2120", "暂估采购费用", "Landed cost not invoiced"),
)

# The page for people is docs/postings.md. Amounts are at cost; a receipt's other side is
# the order's price × rate.
_ROLES = (  # kind, debit, credit
    (Kind.PURCHASE_RECEIPT, POOL, "grni"),
    (Kind.SUPPLIER_RETURN, "grni", POOL),
    (Kind.SALES_SHIPMENT, "cogs", POOL),
    (Kind.CUSTOMER_RETURN, POOL, "cogs"),
    (Kind.TRANSFER_OUT, POOL, POOL),
    (Kind.TRANSFER_IN, POOL, POOL),
    (Kind.OPENING_STOCK, POOL, "opening_equity"),
    (Kind.SCRAP, "loss", POOL),
    (Kind.COUNT_GAIN, POOL, "clarification"),
    (Kind.COUNT_LOSS, "clarification", POOL),
    (Kind.UNEXPLAINED_IN, POOL, "clarification"),
    (Kind.UNEXPLAINED_OUT, "clarification", POOL),
    (Kind.INTERNAL_MOVE, POOL, POOL),
    (Kind.PRODUCTION_ISSUE, POOL, POOL),
    (Kind.PRODUCTION_RECEIPT, POOL, POOL),
    (Kind.PRODUCTION_START, POOL, "production_variance"),
    (Kind.PRODUCTION_END, "production_variance", POOL),
    (Kind.PRICE_CORRECTION, POOL, "grni"),
    (Kind.LANDED_COST, POOL, "landed_clearing"),
    (Kind.LABOUR, POOL, "absorbed"),
    (Kind.OVERHEAD, POOL, "absorbed"),
    (Kind.WRITE_DOWN, "write_down", "allowance"),
    (Kind.STANDARD_CHANGE, POOL, "revaluation"),
    (Kind.METHOD_CHANGE, POOL, "revaluation"),
    (Kind.REVALUATION, POOL, "revaluation"),
)
# Their entries follow the accounts of what they correct.
WITHOUT_RULE = frozenset({Kind.PERIOD_SETTLEMENT, Kind.RECOSTING})
POSTING_RULES = tuple(
    PostingRule(kind, item_class=None, site_id=None, debit_role=debit, credit_role=credit, priority=0)
    for kind, debit, credit in _ROLES
)

_CHARTS = {"ASBE": ASBE, "IFRS": GENERIC_IFRS, "US_GAAP": GENERIC_IFRS}


def chart_of(profile: str) -> tuple[Account, ...]:
    """The accounts a new company of this profile starts with. Raises UnknownProfile.

    US GAAP prescribes numbers as little as IFRS does: it starts with the same generic chart.
    """
    try:
        return _CHARTS[profile]
    except KeyError:
        raise UnknownProfile(f"expected one of {', '.join(_CHARTS)}, got {profile!r}") from None


def posting_rules_of(profile: str) -> tuple[PostingRule, ...]:
    """The posting rules a new company of this profile starts with. Raises UnknownProfile."""
    chart_of(profile)
    return POSTING_RULES
