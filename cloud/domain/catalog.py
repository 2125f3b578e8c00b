"""What is stocked, what tags are bound to, and what gates may expect: master data as values.

Quantities and prices are integers of 10⁻⁶, rates of 10⁻⁹ (base currency per unit of the document's).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from cloud.domain.costing import methods
from cloud.domain.costing.methods import UnknownMethod, method_named, refused_by
from cloud.domain.currency import UnknownCurrency, minor_digits
from cloud.domain.movement import QTY_MAX, Crossing, Kind
from protocols.epc.sgtin import check_digit

ITEM_CLASSES = ("raw_material", "goods")
METHODS = methods.NAMES
TRACKINGS = ("none", "lot", "serial")
DEFAULT_METHOD = "moving_average"
CODE_MAX = 64
LOT_MAX = 128  # an EPC of 496 bits in hex is a lot's name, too
TEXT_MAX = 500
PRICE_MAX = 2**62
WEIGHT_MAX = 2**50  # mg: a million tonnes; times the most stock units it stays within 128 bits
MILLI_DIGITS = 3  # people write grams and cubic centimetres
VOLUME_MAX = 2**50  # mm³: a million cubic metres

PartyKind = Literal["supplier", "customer"]

# The kinds that a gate may expect, and which way such goods cross it. Counts and the unexplained are never
# expected; opening stock does not come through gates.
EXPECTED_CROSSINGS = {
    Kind.PURCHASE_RECEIPT: (Crossing.IN,),
    Kind.CUSTOMER_RETURN: (Crossing.IN,),
    Kind.TRANSFER_IN: (Crossing.IN,),
    Kind.SUPPLIER_RETURN: (Crossing.OUT,),
    Kind.SALES_SHIPMENT: (Crossing.OUT,),
    Kind.TRANSFER_OUT: (Crossing.OUT,),
    Kind.SCRAP: (Crossing.OUT,),
    Kind.INTERNAL_MOVE: (Crossing.IN, Crossing.OUT),
}

PARTY_OF_KIND: dict[Kind, PartyKind] = {
    Kind.PURCHASE_RECEIPT: "supplier",
    Kind.SUPPLIER_RETURN: "supplier",
    Kind.SALES_SHIPMENT: "customer",
    Kind.CUSTOMER_RETURN: "customer",
    Kind.GROUP_SHIPMENT: "customer",
    Kind.GROUP_RECEIPT: "supplier",
}

_EPC = re.compile(r"([0-9A-F]{4})+")


class WrongMasterData(ValueError):
    """An item, tag, party or expectation cannot be; `column` names the field."""

    def __init__(self, column: str, complaint: str) -> None:
        super().__init__(f"{column}: {complaint}")
        self.column = column
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Item:
    """What is stocked.

    method      how its issues are costed; None: as it is, and for a new item its company's default
    tracking    whether its lots or serial numbers are told apart; None: as it is, and for a new item `serial`
                where its method is specific, else `none`
    provenance  where the record comes from, and what of it is made up
    weight_mg, volume_mm3  of one stock unit, None where nobody said
    """

    code: str
    name_zh: str = ""
    name_en: str = ""
    unit: str = "pcs"
    gtin: str | None = None
    item_class: str = "goods"
    method: str | None = None
    provenance: str = ""
    tracking: str | None = None
    weight_mg: int | None = None
    volume_mm3: int | None = None

    def __post_init__(self) -> None:
        _check_text("code", self.code, CODE_MAX, needed=True)
        _check_text("name_zh", self.name_zh, TEXT_MAX)
        _check_text("name_en", self.name_en, TEXT_MAX)
        _check_text("unit", self.unit, 16, needed=True)
        if not (self.name_zh or self.name_en):
            raise WrongMasterData("name_en", "expected a name in Chinese or English, got none")
        if self.gtin is not None:
            check_gtin(self.gtin)
        if self.item_class not in ITEM_CLASSES:
            raise WrongMasterData("item_class", f"expected {' or '.join(ITEM_CLASSES)}, got {self.item_class!r}")
        if self.method is not None and self.method not in METHODS:
            raise WrongMasterData("method", f"expected {' or '.join(METHODS)}, got {self.method!r}")
        if self.tracking is not None and self.tracking not in TRACKINGS:
            raise WrongMasterData("tracking", f"expected {' or '.join(TRACKINGS)}, got {self.tracking!r}")
        if (self.method, self.tracking) == ("specific", "none"):
            raise WrongMasterData("tracking", "expected lot or serial for the method specific, got none")
        _check_measure("weight_g", self.weight_mg, WEIGHT_MAX)
        _check_measure("volume_cm3", self.volume_mm3, VOLUME_MAX)

    def decided(self, company_method: str, profile: str, old: "tuple[str, str] | None" = None) -> "Item":
        """The item with method and tracking filled in, from what it is (`old`: both) or its company's default.

        Raises WrongMasterData where that cannot be under the company's accounting profile.
        """
        method = self.method or (company_method if old is None else old[0])
        tracking = self.tracking
        if tracking is None:
            tracking = "none" if old is None else old[1]
            if method == "specific" and tracking == "none":
                tracking = "serial"
        check_method(method, profile)
        return replace(self, method=method, tracking=tracking)


@dataclass(frozen=True, slots=True)
class Party:
    """A supplier or customer. party_class: by which posting rules tell parties apart; empty: any other."""

    kind: PartyKind
    code: str
    name: str
    party_class: str = ""

    def __post_init__(self) -> None:
        _check_text("party_class", self.party_class, CODE_MAX)
        _check_text("party", self.code, CODE_MAX, needed=True)
        _check_text("party", self.name, TEXT_MAX, needed=True)


@dataclass(frozen=True, slots=True)
class BoundTag:
    """An EPC bound to so much of an item, 10⁻⁶ of its stock unit; perhaps to a lot or serial number of it."""

    epc: str
    item_code: str
    qty_micro: int
    lot_code: str | None = None

    def __post_init__(self) -> None:
        check_epc(self.epc)
        _check_quantity("quantity", self.qty_micro)
        if self.lot_code is not None:
            check_lot(self.lot_code)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one gate may expect: kind, party and price of goods that cross it.

    epc or item_code  exactly one of the two
    party             code of a supplier or customer, by the kind; None where it has none
    price_micro       10⁻⁶ of `currency` per stock unit, with `currency`, or both None
    rate_nano         base currency per unit of `currency`, 10⁻⁹
    open_until        aware
    reason            why, in the words that posting rules know
    dimensions        {type: code of a value} of the account opposite the stock
    """

    gate: str
    direction: Crossing
    kind: Kind
    qty_micro: int
    open_until: datetime
    epc: str | None = None
    item_code: str | None = None
    party: str | None = None
    document: str = ""
    price_micro: int | None = None
    currency: str | None = None
    rate_nano: int = 1_000_000_000
    note: str = ""
    reason: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        crossings = EXPECTED_CROSSINGS.get(self.kind, ())
        if self.direction not in crossings:
            allowed = " or ".join(crossing.name.lower() for crossing in crossings) or "no gate"
            raise WrongMasterData(
                "direction", f"{self.kind.name.lower()} crosses {allowed}, got {self.direction.name.lower()}"
            )
        if (self.epc is None) == (self.item_code is None):
            raise WrongMasterData("epc", "expected either an EPC or an item, got both or neither")
        if self.epc is not None:
            check_epc(self.epc)
        if self.party is not None and self.kind not in PARTY_OF_KIND:
            raise WrongMasterData("party", f"{self.kind.name.lower()} has no party, got {self.party!r}")
        _check_quantity("quantity", self.qty_micro)
        if (self.price_micro is None) != (self.currency is None):
            raise WrongMasterData("price", "expected a price with its currency, got only one of the two")
        if self.price_micro is not None and not 0 <= self.price_micro < PRICE_MAX:
            raise WrongMasterData("price", f"expected 0 … {PRICE_MAX} × 10⁻⁶, got {self.price_micro}")
        if self.currency is not None:
            _check_currency(self.currency)
        if not 1 <= self.rate_nano < PRICE_MAX:
            raise WrongMasterData("rate", f"expected more than 0, below {PRICE_MAX} × 10⁻⁹, got {self.rate_nano}")
        if self.open_until.tzinfo is None:
            raise WrongMasterData("open_until", f"expected a time with its zone, got {self.open_until}")
        _check_text("document", self.document, TEXT_MAX)
        _check_text("note", self.note, TEXT_MAX)
        _check_text("reason", self.reason, TEXT_MAX)


def check_method(method: str, profile: str) -> None:
    """A method that the accounting profile allows, or WrongMasterData."""
    try:
        forbidden = method_named(method) in refused_by(profile)
    except UnknownMethod as error:
        raise WrongMasterData("method", str(error)) from error
    if forbidden:
        allowed = ", ".join(name for name in METHODS if method_named(name) not in refused_by(profile))
        raise WrongMasterData("method", f"{profile} does not allow {method}; it allows {allowed}")


def check_lot(code: str) -> None:
    """What can name a lot or a serial number, or WrongMasterData."""
    _check_text("lot", code, LOT_MAX, needed=True)


def lot_of_tag(tracking: str, method: str, epc: str, lot_code: str | None = None) -> str | None:
    """The lot that a tag stands for: the one given; else, of an item whose pieces or lots must be told apart
    (serial, or costed by what each cost itself), the piece that the tag itself names.

    Raises WrongMasterData for a lot of an item that has none.
    """
    if tracking == "none":
        if lot_code is not None:
            raise WrongMasterData("lot", f"the item's lots are not told apart, got {lot_code!r}")
        return None
    if lot_code is None and (tracking == "serial" or method == "specific"):
        return epc
    return lot_code


def check_gtin(gtin: str) -> None:
    """A GTIN-14 with its right check digit, or WrongMasterData."""
    if len(gtin) != 14 or not (gtin.isascii() and gtin.isdigit()):
        raise WrongMasterData("gtin", f"expected 14 digits (leading zeros written), got {gtin!r}")
    if (right := check_digit(gtin[:13])) != gtin[13]:
        raise WrongMasterData("gtin", f"expected check digit {right} at the end of {gtin}, got {gtin[13]}")


def check_epc(epc: str) -> None:
    """Upper-case hex of whole 16-bit words, as readers report EPC memory, or WrongMasterData."""
    if not _EPC.fullmatch(epc):
        raise WrongMasterData("epc", f"expected upper-case hex digits in fours, got {epc!r}")


def _check_currency(currency: str) -> None:
    try:
        minor_digits(currency)
    except UnknownCurrency as error:
        raise WrongMasterData("currency", str(error)) from error


def _check_quantity(column: str, qty_micro: int) -> None:
    if not 1 <= qty_micro <= QTY_MAX:
        raise WrongMasterData(column, f"expected more than 0, at most {QTY_MAX} × 10⁻⁶, got {qty_micro}")


def _check_measure(column: str, milli: int | None, most: int) -> None:
    if milli is not None and not 1 <= milli <= most:
        raise WrongMasterData(column, f"expected more than 0, at most {most} × 10⁻³ a stock unit, got {milli}")


def _check_text(column: str, text: str, longest: int, needed: bool = False) -> None:
    if needed and not text.strip():
        raise WrongMasterData(column, "expected a text, got none")
    if len(text) > longest:
        raise WrongMasterData(column, f"expected at most {longest} characters, got {len(text)}")
    # Control characters cannot be seen, and PostgreSQL refuses NUL; lone surrogates are no text at all.
    if bad := next((char for char in text if unicodedata.category(char) in ("Cc", "Cs")), None):
        raise WrongMasterData(column, f"expected no control characters, got U+{ord(bad):04X}")
