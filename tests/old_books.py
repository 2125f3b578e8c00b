"""Databases as they were: made anew with the first migrations only, and companies as those set them up."""

import psycopg

from cloud.store import migrate

BEFORE_COSTING = ("0001_foundation", "0002_views", "0003_reading")

# role, ASBE number, generic number, ASBE name, generic name, English names, whether its movements only write it
OLD_CHART = (
    ("raw_material", "1403", "1310", "原材料", "原材料", "Raw materials", "Raw materials", True),
    ("goods", "1405", "1320", "库存商品", "商品", "Merchandise and finished goods",
     "Merchandise and finished goods", True),
    ("in_transit", "140591", "1330", "库存商品——调拨在途", "调拨在途", "Goods in transit between own sites",
     "Goods in transit between own sites", True),
    ("clarification_stock", "140592", "1340", "库存商品——待处理", "待处理存货", "Goods in clarification",
     "Goods in clarification", True),
    ("clarification", "1901", "1390", "待处理财产损溢", "待处理损溢",
     "Property gains and losses awaiting clarification", "Stock differences awaiting clarification", True),
    ("grni", "220201", "2110", "应付账款——暂估", "暂估应付账款", "Goods received not invoiced",
     "Goods received not invoiced", True),
    ("opening_equity", "410499", "3900", "利润分配——期初余额", "期初余额", "Opening balance equity",
     "Opening balance equity", False),
    ("cogs", "6401", "5000", "主营业务成本", "销售成本", "Cost of goods sold", "Cost of sales", False),
    ("price_difference", "640191", "5100", "主营业务成本——进货价差", "进货价差", "Purchase price differences",
     "Purchase price differences", False),
    ("rounding", "660391", "5900", "财务费用——尾差", "尾差", "Rounding differences", "Rounding differences", True),
    ("loss", "6711", "5910", "营业外支出", "存货损失", "Losses of goods", "Losses of goods", False),
)  # fmt: skip
# kind, debit, credit
OLD_RULES = (
    (1, "pool", "grni"), (2, "grni", "pool"), (3, "cogs", "pool"), (4, "pool", "cogs"), (5, "pool", "pool"),
    (6, "pool", "pool"), (7, "pool", "opening_equity"), (8, "loss", "pool"), (9, "pool", "clarification"),
    (10, "clarification", "pool"), (11, "pool", "clarification"), (12, "clarification", "pool"), (13, "pool", "pool"),
)  # fmt: skip


def go_back(connection: psycopg.Connection, names: tuple[str, ...] = BEFORE_COSTING) -> None:
    """A database as it was: everything made anew with these migrations only."""
    tables = connection.execute(
        "SELECT format('DROP TABLE IF EXISTS %I CASCADE', tablename) FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    for (statement,) in tables:
        connection.execute(statement)
    functions = connection.execute(
        "SELECT format('DROP FUNCTION %s CASCADE', p.oid::regprocedure) FROM pg_proc p"
        " WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) = current_user"
        "   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
    ).fetchall()
    for (statement,) in functions:
        connection.execute(statement)
    for name in names:
        connection.execute((migrate.MIGRATIONS / f"{name}.sql").read_text("utf-8"))
    if migrate.create_extension(connection):
        connection.execute((migrate.MIGRATIONS / "timescaledb.sql").read_text("utf-8"))
    connection.execute(
        "CREATE TABLE schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.execute("INSERT INTO schema_migrations SELECT unnest(%s::text[])", [list(names)])


def make_company(connection: psycopg.Connection, profile: str) -> int:
    """A company as before costing, with the chart and rules that its profile had."""
    [(company_id,)] = connection.execute(
        "INSERT INTO companies (code, name, currency, minor_digits, time_zone, profile)"
        " VALUES (%s, 'x', 'CNY', 2, 'Asia/Shanghai', %s) RETURNING company_id",
        [profile, profile],
    ).fetchall()
    asbe = profile == "ASBE"
    for role, number, generic, zh, generic_zh, en, generic_en, is_control in OLD_CHART:
        connection.execute(
            "INSERT INTO accounts (company_id, number, name_zh, name_en, role, is_control)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [company_id, *((number, zh, en) if asbe else (generic, generic_zh, generic_en)), role, is_control],
        )
    for kind, debit, credit in OLD_RULES:
        connection.execute(
            "INSERT INTO posting_rules (company_id, kind, debit_role, credit_role) VALUES (%s, %s, %s, %s)",
            [company_id, kind, debit, credit],
        )
    return int(company_id)
