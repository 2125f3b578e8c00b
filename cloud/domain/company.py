"""What an installer says about a company: how it keeps its books, its places, gates and gateways.

All values refuse what cannot be, so that a description that was made can be applied.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cloud.domain.access import Role
from cloud.domain.catalog import DEFAULT_METHOD, WrongMasterData, check_method
from cloud.domain.currency import minor_digits
from cloud.domain.ledger.charts import chart_of
from protocols.wire.topics import GatewayAddress

LATE_POLICIES = ("post_back", "send_on")
VOUCHER_WORDS = ("one", "three")
CLARIFICATION_DAYS_MAX = 3660  # ten years: more is no limit
RATE_SOURCE_MAX = 64
LANES = 16  # ARCHITECTURE.md, "Lanes": one hash byte's low half chooses among them

LocationKind = Literal[
    "site", "zone", "bin", "clarification", "in_transit", "supplier", "customer", "production", "scrap", "world",
    "work_order",
]  # fmt: skip

# A location, gate or item code: what fits a label, a column and a topic level, without surprises at its ends.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


class WrongDescription(ValueError):
    """The company's description cannot be."""


@dataclass(frozen=True, slots=True)
class VirtualLocation:
    """A place beyond the company's walls that goods come from or go to."""

    code: str
    name: str
    kind: LocationKind


VIRTUAL_LOCATIONS = (
    VirtualLocation("SUPPLIER", "供应商 · Suppliers", "supplier"),
    VirtualLocation("CUSTOMER", "客户 · Customers", "customer"),
    VirtualLocation("IN-TRANSIT", "调拨在途 · In transit", "in_transit"),
    VirtualLocation("SCRAP", "报废 · Scrap", "scrap"),
    VirtualLocation("PRODUCTION", "生产 · Production", "production"),
    VirtualLocation("WORLD", "外部 · The world outside", "world"),
)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a company closes its periods; all of it may change while there are books.

    late_policy         where gateways' late events go while their period is soft-closed: back into it (post_back), or
                        on to the first open one (send_on)
    soft_close_roles    whose people close periods, and post into soft-closed ones
    clarification_days  how old what nobody has explained may be when a period is locked
    fiscal_year_month   the month in which the fiscal year begins, 1 … 12
    rate_source         whose exchange rates count; empty: anybody's
    voucher_words       one: 记; three: 收, 付, 转
    """

    late_policy: str = "post_back"
    soft_close_roles: tuple[str, ...] = ("finance", "admin")
    clarification_days: int = 30
    fiscal_year_month: int = 1
    rate_source: str = ""
    voucher_words: str = "one"

    def __post_init__(self) -> None:
        _expect_one_of("late_policy", self.late_policy, LATE_POLICIES)
        _expect_one_of("voucher_words", self.voucher_words, VOUCHER_WORDS)
        for role in self.soft_close_roles:
            _expect_one_of("a role of soft_close_roles", role, [str(one) for one in Role])
        if len(set(self.soft_close_roles)) != len(self.soft_close_roles):
            raise WrongDescription(f"soft_close_roles names a role twice: {', '.join(self.soft_close_roles)}")
        if not 0 <= self.clarification_days <= CLARIFICATION_DAYS_MAX:
            raise WrongDescription(
                f"expected clarification_days of 0 … {CLARIFICATION_DAYS_MAX}, got {self.clarification_days}"
            )
        if not 1 <= self.fiscal_year_month <= 12:
            raise WrongDescription(f"expected a fiscal_year_month of 1 … 12, got {self.fiscal_year_month}")
        if len(self.rate_source) > RATE_SOURCE_MAX:
            raise WrongDescription(f"expected a rate_source of at most {RATE_SOURCE_MAX} characters")


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """How a legal entity keeps its books; only name, default method and closing may change once there are books.

    code            its name in topics and on command lines
    currency        ISO 4217
    time_zone       IANA name; decides posting dates
    profile         ASBE, IFRS or US_GAAP; decides the chart, and which costing methods are allowed
    default_method  how items are costed that do not say it themselves
    closing         how it closes its periods; None: as it is, a new company as `Closing()` says
    """

    code: str
    name: str
    currency: str
    time_zone: str
    profile: str
    default_method: str = DEFAULT_METHOD
    closing: Closing | None = None

    def __post_init__(self) -> None:
        GatewayAddress(self.code, "site", "gateway")  # a company's code is a level of every topic
        if not self.name.strip():
            raise WrongDescription(f"company {self.code}: expected a name, got none")
        minor_digits(self.currency)
        chart_of(self.profile)
        try:
            check_method(self.default_method, self.profile)
        except WrongMasterData as error:
            raise WrongDescription(f"company {self.code}: default method: {error.complaint}") from error
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise WrongDescription(
                f"company {self.code}: expected an IANA time zone such as Asia/Shanghai, got {self.time_zone!r}"
            ) from None

    @property
    def minor_digits(self) -> int:
        """Digits behind the point of the company's ledger amounts."""
        return minor_digits(self.currency)


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a site where goods lie."""

    code: str
    name: str

    def __post_init__(self) -> None:
        check_code("zone", self.code)


@dataclass(frozen=True, slots=True)
class Site:
    """A warehouse or shop with its zones; what nobody expected there goes to its own clarification."""

    code: str
    name: str
    zones: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        check_code("site", self.code)

    @property
    def clarification_code(self) -> str:
        """The location of this site's goods that have no reason yet."""
        return f"CLARIFICATION-{self.code}"


@dataclass(frozen=True, slots=True)
class Gate:
    """A portal between two locations, named by their codes.

    crossing_group    gates that can see one crossing share a number; None: a group of its own
    same_crossing_us  within this time two sightings of such gates are one crossing
    """

    code: str
    inside: str
    outside: str
    crossing_group: int | None = None
    same_crossing_us: int = 10_000_000

    def __post_init__(self) -> None:
        check_code("gate", self.code)
        if self.inside == self.outside:
            raise WrongDescription(f"gate {self.code}: inside and outside are the same location, {self.inside}")
        if self.same_crossing_us < 0:
            raise WrongDescription(
                f"gate {self.code}: expected a same-crossing time of 0 µs or more, got {self.same_crossing_us}"
            )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway of the company; its log is its (site, code)."""

    site: str
    code: str


def _expect_one_of(what: str, got: str, allowed: Sequence[str]) -> None:
    if got not in allowed:
        raise WrongDescription(f"expected {what} to be one of {', '.join(allowed)}, got {got!r}")


def check_code(what: str, code: str) -> None:
    """Raises WrongDescription."""
    if not _CODE.fullmatch(code):
        raise WrongDescription(
            f"expected a {what} code of 1 to 64 letters, digits and . _ / -, beginning with a letter or digit, "
            f"got {code!r}"
        )


def lane_of(address: GatewayAddress) -> int:
    """The lane of a gateway's log, 0 … 15: the same on every machine and for ever."""
    return hashlib.sha256(str(address).encode()).digest()[0] % LANES
