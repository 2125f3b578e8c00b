"""What each pallet of the demonstration bears, and what is expected of it: pure, for the run of a number.

The pallets are those of the virtual reader's scenario `truck_unloading`. In go the run's number and twelve
offers (articles with supplier, price and case); out come the goods list that the reader plays, the tags to
register, and the expectations to write. Every run has tags of its own: SGTINs with serial numbers
run × 1000 + n, so that a second run is a second truck.

    P1        received by purchase order, one article, its tags announced by the supplier (expected by EPC)
    P2        received by purchase order, two articles, expected by article and quantity
    P3        received by purchase order in a foreign currency; U1 rides along, a tag that nobody registered
    P4        received by purchase order, single pieces whose tags nobody registered but whose GTIN is known
    X1        comes in unannounced: clarification
    B1        the wrong door: turns back in the gate
    S1        a sales shipment of cases that came with P1 and P2
    T1        a transfer to the second site of cases that came with P3
    R1        stands near the door all the time; the same tags in every run
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cloud.domain.catalog import BoundTag, Expectation
from cloud.domain.movement import MICRO, Crossing, Kind
from protocols.epc.sgtin import SERIAL_MAX, Sgtin, encode

GATE = "dock-1"
NOTE = "made up for a demonstration, run"
SERIALS_PER_RUN = 1000
RUN_MAX = SERIAL_MAX // SERIALS_PER_RUN - 1
OFFERS = 12

PREFIX_DIGITS = 7
# For articles without a GTIN of their own: GS1's prefix for demonstrations, and an item reference of ours.
MADE_UP_PREFIX = "9524001"
FULL_CASE, SINGLE_ITEM = 2, 1  # filter values, TDS 2.1, table 10-1
CASE_INDICATOR = "1"

CUSTOMER = "C-0001"
SELLING_PERCENT = 160  # of the purchase price; made up


class WrongRun(ValueError):
    """There is no such run."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An article as a supplier sells it.

    gtin         14 digits, or None where the article has none
    price_micro  10⁻⁶ of `currency` per stock unit; rate_nano: base currency per unit of it, 10⁻⁹
    case_pieces  stock units in a tagged case
    """

    item: str
    supplier: str
    price_micro: int
    currency: str
    rate_nano: int
    case_pieces: int
    gtin: str | None = None


@dataclass(frozen=True, slots=True)
class Goods:
    """One tag on one pallet, as the virtual reader's goods list has it; item is None where nobody knows it."""

    epc: str
    pallet: str
    item: str | None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything of one run. A tag that leaves again stands in `goods` twice.

    standing  the tags of R1, which are in `tags` too: stock that was there before any truck came
    """

    goods: tuple[Goods, ...]
    tags: tuple[BoundTag, ...]
    expectations: tuple[Expectation, ...]
    standing: tuple[BoundTag, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One tagged case, or single piece."""

    epc: str
    offer: Offer
    pieces: int


def plan_run(run: int, offers: Sequence[Offer], open_until: datetime) -> RunPlan:
    """The plan of run 1, 2, 3 …; every other run takes the other article where there are two to choose from.

    offers  twelve of them, as in offers.toml
    Raises WrongRun.
    """
    if not 1 <= run <= RUN_MAX:
        raise WrongRun(f"expected a run 1 … {RUN_MAX}, got {run}")
    if len(offers) < OFFERS:
        raise WrongRun(f"expected {OFFERS} offers, got {len(offers)}")
    first = (run - 1) % 2
    serial = run * SERIALS_PER_RUN
    loads = {
        "P1": _cases(offers, [first] * 10, serial),
        "P2": _cases(offers, [2, 3] * 6, serial + 100),
        "P3": _cases(offers, [4 + first] * 8, serial + 200),
        "P4": _pieces(offers[6 + first], 6, serial + 300),
        "X1": _cases(offers, [8] * 6, serial + 400),
        "B1": _cases(offers, [9] * 6, serial + 500),
        "R1": _cases(offers, [10, 11, 10, 11, 10], 1),  # the same in every run
    }
    # The scenario interleaves them alike: the first case of P1, the first of P2, the second of P1 …
    loads["S1"] = [case for pair in zip(loads["P1"][:4], loads["P2"][:4], strict=True) for case in pair]
    loads["T1"] = loads["P3"][:6]
    expectations = [
        *_by_tag(loads["P1"], f"PO-{run:04d}-1", open_until),
        *_by_article(loads["P2"], f"PO-{run:04d}-2", open_until),
        *_by_tag(loads["P3"], f"PO-{run:04d}-3", open_until),
        *_by_article(loads["P4"], f"PO-{run:04d}-4", open_until),
        *(_sold(case, f"SO-{run:04d}", open_until) for case in loads["S1"]),
        *(_transferred(case, f"TR-{run:04d}", open_until) for case in loads["T1"]),
    ]
    # Single pieces are resolved by their GTIN; where the article has none, they are registered like the rest.
    registered = {
        case.epc: case for name, load in loads.items() for case in load if name != "P4" or not case.offer.gtin
    }
    return RunPlan(
        goods=(
            *(Goods(case.epc, name, case.offer.item) for name, load in loads.items() for case in load),
            Goods(_factory_memory(run), "U1", None),
        ),
        tags=tuple(BoundTag(case.epc, case.offer.item, case.pieces * MICRO) for case in registered.values()),
        expectations=tuple(replace(e, note=note_of(run)) for e in expectations),
        standing=tuple(BoundTag(case.epc, case.offer.item, case.pieces * MICRO) for case in loads["R1"]),
    )


def note_of(run: int) -> str:
    """What the expectations of a run are marked with."""
    return f"{NOTE} {run}"


def _cases(offers: Sequence[Offer], chosen: Sequence[int], first_serial: int) -> list[_Case]:
    return [
        _Case(
            _epc(offers[number], number, CASE_INDICATOR, FULL_CASE, first_serial + n),
            offers[number],
            offers[number].case_pieces,
        )
        for n, number in enumerate(chosen)
    ]


def _pieces(offer: Offer, count: int, first_serial: int) -> list[_Case]:
    return [_Case(_epc(offer, 0, "0", SINGLE_ITEM, first_serial + n), offer, 1) for n in range(count)]


def _epc(offer: Offer, number: int, indicator: str, filter_value: int, serial: int) -> str:
    """A tag of the article; a case has a trade item number of its own, told by its indicator digit."""
    if offer.gtin is None:
        prefix, reference = MADE_UP_PREFIX, f"{number:05d}"
    else:
        prefix, reference = offer.gtin[1 : 1 + PREFIX_DIGITS], offer.gtin[1 + PREFIX_DIGITS : 13]
    return encode(Sgtin(filter_value, prefix, indicator + reference, serial))


def _factory_memory(run: int) -> str:
    """EPC memory as a chip maker left it: no EPC, unknown to the registry, another one in every run."""
    return f"E28011606000{run:012X}"


def _by_tag(load: Sequence[_Case], document: str, open_until: datetime) -> list[Expectation]:
    return [
        Expectation(
            gate=GATE,
            direction=Crossing.IN,
            kind=Kind.PURCHASE_RECEIPT,
            epc=case.epc,
            qty_micro=case.pieces * MICRO,
            party=case.offer.supplier,
            document=document,
            price_micro=case.offer.price_micro,
            currency=case.offer.currency,
            rate_nano=case.offer.rate_nano,
            open_until=open_until,
        )
        for case in load
    ]


def _by_article(load: Sequence[_Case], document: str, open_until: datetime) -> list[Expectation]:
    pieces: dict[str, int] = {}
    for case in load:
        pieces[case.offer.item] = pieces.get(case.offer.item, 0) + case.pieces
    first = {case.offer.item: case for case in reversed(load)}
    return [
        replace(_by_tag([first[item]], document, open_until)[0], epc=None, item_code=item, qty_micro=count * MICRO)
        for item, count in pieces.items()
    ]


def _sold(case: _Case, document: str, open_until: datetime) -> Expectation:
    return Expectation(
        gate=GATE,
        direction=Crossing.OUT,
        kind=Kind.SALES_SHIPMENT,
        epc=case.epc,
        qty_micro=case.pieces * MICRO,
        party=CUSTOMER,
        document=document,
        price_micro=case.offer.price_micro * SELLING_PERCENT // 100,
        currency=case.offer.currency,
        rate_nano=case.offer.rate_nano,
        open_until=open_until,
    )


def _transferred(case: _Case, document: str, open_until: datetime) -> Expectation:
    return Expectation(
        gate=GATE,
        direction=Crossing.OUT,
        kind=Kind.TRANSFER_OUT,
        epc=case.epc,
        qty_micro=case.pieces * MICRO,
        document=document,
        open_until=open_until,
    )
