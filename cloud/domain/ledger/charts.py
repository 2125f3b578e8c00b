"""Charts of accounts and posting rules as they ship: ASBE and a generic IFRS one.

A chart maps *roles* to account numbers and names; posting rules speak of roles only, so that the same
movement posts alike under either chart. The role `POOL` stands for the account of the movement's own
cost pool and is no account itself. Companies get a copy of this data when they are set up; they may add
rules of a higher priority afterwards.

The charts are files, charts/asbe.toml and charts/ifrs.toml; each names the sources of its numbers.
"""

import tomllib
from pathlib import Path

from cloud.domain.ledger.accounts import Account, AccountType, Need, WrongChart, chart_complaints
from cloud.domain.ledger.chart_file import read_chart
from cloud.domain.ledger.dimensions import DIMENSION_TYPES
from cloud.domain.ledger.posting import PostingRule
from cloud.domain.ledger.rules_shipped import POSTING_RULES


class UnknownProfile(ValueError):
    """No chart ships for this accounting profile."""


_FOLDER = Path(__file__).parent / "charts"


def _shipped(name: str) -> tuple[Account, ...]:
    """The accounts of a file beside this module. Raises BadChartFile, WrongChart."""
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    allowed = {one.code: Need.ALLOWED for one in DIMENSION_TYPES}
    default = {AccountType(type_): allowed for type_ in tomllib.loads(text)["dimensions_allowed_on"]}
    accounts = read_chart(text, f"{name}.toml", default).accounts
    if complaints := list(chart_complaints(accounts, allowed)):
        raise WrongChart(complaints)
    return accounts


ASBE = _shipped("asbe")
GENERIC_IFRS = _shipped("ifrs")

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
