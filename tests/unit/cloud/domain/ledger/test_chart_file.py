"""Charts and dimensions as files: read with everything that is wrong at once, written and read again."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.accounts import Account, AccountType, Complaint, Need
from cloud.domain.ledger.chart_file import (
    BadChartFile,
    chart_csv,
    chart_toml,
    dimensions_csv,
    dimensions_toml,
    read_chart,
    read_dimensions,
)
from cloud.domain.ledger.charts import ASBE, GENERIC_IFRS
from cloud.domain.ledger.dimensions import DimensionType, DimensionValue

NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30
).filter(lambda text: text == text.strip())  # fmt: skip
DAYS = st.dates(date(1990, 1, 1), date(2090, 12, 31))


@pytest.mark.parametrize("chart", [ASBE, GENERIC_IFRS], ids=["ASBE", "IFRS"])
def test_a_shipped_chart_reads_again_as_it_was_written(chart: tuple[Account, ...]) -> None:
    assert read_chart(chart_toml(chart), "x.toml").accounts == chart
    assert read_chart(chart_csv(chart), "x.csv").accounts == chart


@given(NAMES, NAMES, DAYS, DAYS, st.dictionaries(st.sampled_from(["project", "tribe"]), st.sampled_from(Need)))
def test_any_account_reads_again_as_it_was_written(
    zh: str, en: str, one: date, other: date, dimensions: dict[str, Need]
) -> None:
    made = Account(
        "1.2-a",
        zh,
        en,
        AccountType.COST,
        valid_from=min(one, other),
        valid_to=max(one, other),
        dimensions=dimensions,
    )
    assert read_chart(chart_toml([made]), "x.toml").accounts == (made,)
    assert read_chart(chart_csv([made]), "x.csv").accounts == (made,)


def test_a_csv_file_names_its_columns_in_any_order_and_may_leave_some_out() -> None:
    text = '\ufefftype, number ,name_en\r\nasset,1001,Cash\r\n\r\nexpense,6601,"Selling, all of it"\r\n'
    assert read_chart(text, "c.csv").accounts == (
        Account("1001", "", "Cash", AccountType.ASSET),
        Account("6601", "", "Selling, all of it", AccountType.EXPENSE),
    )


@pytest.mark.parametrize(
    ("name", "text", "complaints"),
    [
        (
            "c.csv",
            "number,name_en,type,monetary,valid_to\n1,a,asset,yes,\n2,,asset,,\n3,c,thing,,\n,d,asset,,\n5,e,asset,,June\n",
            [
                "c.csv: line 2: monetary: expected true or false, got 'yes'",
                "c.csv: line 3: account 2: name_en: expected a name, Chinese or English, got none",
                "c.csv: line 4: type: expected one of asset, liability, common, equity, cost, revenue, expense,"
                " got 'thing'",
                "c.csv: line 5: number: expected a number, got none",
                "c.csv: line 6: valid_to: expected a day as 2026-01-31, got 'June'",
            ],
        ),
        ("c.csv", "number,colour\n1,red\n", ["c.csv: line 1: expected columns among number, name_zh"]),
        ("c.csv", "number,number\n1,1\n", ["c.csv: line 1: expected columns among"]),
        ("c.csv", "number,type\n1\n", ["c.csv: line 2: expected 2 cells, got 1"]),
        ("c.csv", 'number,type\n"1,asset\n', ["c.csv: line 2: expected CSV"]),
        ("c.csv", "number,type\n", ["c.csv: line 1: expected rows after the head line, got none"]),
        ("c.csv", "", ["c.csv: line 1: expected columns among"]),
        (
            "c.toml",
            'accounts = [\n {number = "1", name_en = "a", type = "asset"},\n {number = "2", type = "asset"},\n]\n',
            ["c.toml: line 3: account 2: name_en: expected a name"],
        ),
        (
            "c.toml",
            'accounts = [\n {number = "1", name_en = "a", type = "asset", dimensions = {project = "maybe"}} ]',
            ["c.toml: line 2: dimensions: expected types, each required or allowed, got {'project': 'maybe'}"],
        ),
        ("c.toml", 'accounts = [ {number = 1} ]', ["c.toml: accounts 1: number: expected a text, got 1"]),
        ("c.toml", 'accounts = [ {number = "1", hue = 2} ]', ["c.toml: line 1: expected keys among"]),
        ("c.toml", "accounts = [ 3 ]", ["c.toml: accounts 1: expected a table, got 3"]),
        ("c.toml", "accounts = []", ["c.toml: expected a list 'accounts' with rows, got accounts"]),
        ("c.toml", 'acounts = [ {number = "1"} ]', ["c.toml: expected a list 'accounts' with rows, got acounts"]),
        ("c.toml", "accounts = [", ["c.toml: "]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_row_and_all_at_once(
    name: str, text: str, complaints: list[str]
) -> None:
    with pytest.raises(BadChartFile) as refused:
        read_chart(text, name)
    told = str(refused.value).splitlines()
    assert len(told) == len(complaints)
    assert [line.startswith(complaint) for line, complaint in zip(told, complaints, strict=True)] == [True] * len(
        told
    )


def test_what_the_books_refuse_is_told_by_the_rows_of_the_file() -> None:
    file = read_chart("number,name_en,type\n1,a,asset\n2,b,asset\n", "c.csv")
    told = file.refusal([Complaint("2", "type", "it has lines"), Complaint("9", "", "it has lines")])
    assert str(told) == (
        "c.csv: line 3: account 2, type: it has lines\nc.csv: not in the file: account 9: it has lines"
    )


TYPES = (DimensionType("season", "季节", "Season"), DimensionType("tribe", "", "Tribe"))
VALUES = (
    DimensionValue("project", "P 7", 'The "new" hall', date(2026, 1, 1)),
    DimensionValue("season", "夏", "", valid_to=date(2026, 8, 31)),
)


def test_dimensions_read_again_as_they_were_written() -> None:
    file = read_dimensions(dimensions_toml(TYPES, VALUES), "d.toml")
    assert (file.types, file.values) == (TYPES, VALUES)
    assert read_dimensions(dimensions_csv(VALUES), "d.csv").values == VALUES


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("d.toml", "kinds = []", "d.toml: expected types and values, got kinds"),
        ("d.toml", 'types = [{code = "A", name_en = "a"}]', "d.toml: types 1: code: expected lower-case letters"),
        (
            "d.toml",
            'values = [{type = "a", code = "x;y"}]',
            "d.toml: values 1: code: expected up to 64 characters",
        ),
        ("d.csv", "type,code\nproject,P1\nproject,P1\n", "d.csv: line 3: project P1 stands at line 2 already"),
        ("d.csv", "type,code\nproject,\n", "d.csv: line 2: code: expected up to 64 characters"),
    ],
)
def test_dimensions_that_cannot_be_are_told_with_their_row(name: str, text: str, complaint: str) -> None:
    with pytest.raises(BadChartFile) as refused:
        read_dimensions(text, name)
    assert str(refused.value).startswith(complaint)
