"""A company's description in TOML → values; what cannot be is named by its place in the file.

An example with every key; what is optional says so:

    [company]
    code = "demo"                # its name in topics and on command lines
    name = "示例公司 · Demo"
    currency = "CNY"             # ISO 4217
    time_zone = "Asia/Shanghai"  # IANA
    profile = "ASBE"             # ASBE, IFRS or US_GAAP
    default_method = "fifo"      # of items that do not say theirs; optional, else moving_average
    industries = ["food"]        # whose customs of sharing costs it takes over; optional

    [closing]                    # how it closes its periods; optional, as is every line; without it all stays as it is
    late_policy = "post_back"    # gateways' late events into soft-closed periods; send_on: to the first open one
    soft_close_roles = ["finance", "admin"]  # who closes periods, and posts into soft-closed ones
    clarification_days = 30      # how old what nobody has explained may be when a period is locked
    fiscal_year_month = 1        # in which the fiscal year begins
    rate_source = "PBOC"         # whose exchange rates count; empty: anybody's
    voucher_words = "three"      # 收, 付, 转; one: 记

    [[sites]]
    code = "MAIN"
    name = "主仓 · Main warehouse"
    zones = [{ code = "MAIN-STORE", name = "库区 · Store" }]

    [[gates]]
    code = "dock-1"
    inside = "MAIN-STORE"        # codes of locations; WORLD and the like are there always
    outside = "WORLD"
    crossing_group = 1           # gates that can see one crossing share it; optional
    same_crossing_s = 10         # optional

    [[gateways]]
    site = "MAIN"
    code = "gw-1"

    [[items]]
    code = "TEA-100"
    name_zh = "碧螺春 100 克"
    name_en = "Biluochun tea 100 g"
    unit = "pcs"                 # optional, as are the following
    gtin = "09521141000014"
    item_class = "goods"         # or raw_material
    method = "fifo"              # or moving_average, standard, periodic_average, periodic_fifo, specific;
                                 # under US_GAAP lifo and periodic_lifo, too
    tracking = "lot"             # or serial, none
    weight_g = "125.5"           # of one stock unit
    volume_cm3 = "640"

    [allocation_rules.tea]       # or rules of its own, as in cloud/domain/costing/allocation_rules.toml
    roasting = { basis = "weight", dimension = "batch" }
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from cloud.domain.catalog import DEFAULT_METHOD, MILLI_DIGITS, Item, WrongMasterData
from cloud.domain.company import Closing, CompanySettings, Gate, Gateway, Site, WrongDescription, Zone
from cloud.domain.costing.allocation_rules import UnknownIndustry, WrongRules, rules_from, rules_of
from cloud.domain.currency import UnknownCurrency
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.domain.ledger.charts import UnknownProfile
from cloud.flows.set_up_company import CompanyDescription
from protocols.wire.topics import WrongTopic

MICROSECONDS = 1_000_000


class WrongCompanyFile(ValueError):
    """The file does not describe a company."""


class _Company(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    name: str
    currency: str
    time_zone: str
    profile: str
    default_method: str = DEFAULT_METHOD
    industries: list[str] = []


_CLOSING = Closing()


class _Closing(msgspec.Struct, forbid_unknown_fields=True):
    late_policy: str = _CLOSING.late_policy
    soft_close_roles: tuple[str, ...] = _CLOSING.soft_close_roles
    clarification_days: int = _CLOSING.clarification_days
    fiscal_year_month: int = _CLOSING.fiscal_year_month
    rate_source: str = _CLOSING.rate_source
    voucher_words: str = _CLOSING.voucher_words


class _Zone(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    name: str


class _Site(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    name: str
    zones: list[_Zone] = []


class _Gate(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    inside: str
    outside: str
    crossing_group: int | None = None
    same_crossing_s: float = 10.0


class _Gateway(msgspec.Struct, forbid_unknown_fields=True):
    site: str
    code: str


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    name_zh: str = ""
    name_en: str = ""
    unit: str = "pcs"
    gtin: str | None = None
    item_class: str = "goods"
    method: str | None = None
    provenance: str = ""
    tracking: str | None = None
    weight_g: str | int | None = None
    volume_cm3: str | int | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    company: _Company
    closing: _Closing | None = None
    sites: list[_Site] = []
    gates: list[_Gate] = []
    gateways: list[_Gateway] = []
    items: list[_Item] = []
    allocation_rules: dict[str, Any] = {}


class _ItemsFile(msgspec.Struct, forbid_unknown_fields=True):
    items: list[_Item]


def read_company_file(path: Path) -> CompanyDescription:
    """Raises WrongCompanyFile, OSError."""
    file = _read(path, _File)
    settings = msgspec.structs.asdict(file.company)
    industries = settings.pop("industries")
    try:
        return CompanyDescription(
            CompanySettings(**settings, closing=_closing(file.closing)),
            sites=tuple(Site(s.code, s.name, tuple(Zone(z.code, z.name) for z in s.zones)) for s in file.sites),
            gates=tuple(
                Gate(g.code, g.inside, g.outside, g.crossing_group, round(g.same_crossing_s * MICROSECONDS))
                for g in file.gates
            ),
            gateways=tuple(Gateway(g.site, g.code) for g in file.gateways),
            items=_items(file.items, path),
            allocation_rules={one: rules_of(one) for one in industries} | rules_from(file.allocation_rules),
        )
    except (
        WrongDescription, WrongTopic, UnknownCurrency, UnknownProfile, UnknownIndustry, WrongRules,
    ) as error:  # fmt: skip
        raise WrongCompanyFile(f"{path}: {error}") from error


def read_items_file(path: Path) -> tuple[Item, ...]:
    """The items of a TOML file that holds nothing else. Raises WrongCompanyFile, OSError."""
    return _items(_read(path, _ItemsFile).items, path)


def _closing(told: _Closing | None) -> Closing | None:
    return None if told is None else Closing(**msgspec.structs.asdict(told))


def _items(items: Iterable[_Item], path: Path) -> tuple[Item, ...]:
    made = []
    for number, item in enumerate(items, start=1):
        named = msgspec.structs.asdict(item) | {"provenance": item.provenance or path.name}
        try:
            weight, volume = _milli(named.pop("weight_g")), _milli(named.pop("volume_cm3"))
            made.append(Item(**named, weight_mg=weight, volume_mm3=volume))
        except (WrongMasterData, NotADecimal) as error:
            raise WrongCompanyFile(f"{path}: item {number}, {item.code!r}: {error}") from error
    return tuple(made)


def _milli(text: str | int | None) -> int | None:
    return None if text is None else parse_scaled(str(text), MILLI_DIGITS)


def _read(path: Path, form: type[Any]) -> Any:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), form)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise WrongCompanyFile(f"{path}: {error}") from error
