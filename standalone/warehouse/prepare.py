"""Write a run of the demonstration into the database before the truck comes: master data, tags, expectations.

Without a catalogue the goods are the small one beside this file, in company `demo`. With the Online Retail
file they are the twelve best sellers of its most typical day, in company `retail`, where `tallygate import
online-retail` has put, or will put, that day itself; their purchase prices are made up and say so.
"""

import hashlib
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.catalog import Item, Party
from cloud.domain.decimals import parse_scaled
from cloud.domain.movement import Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.imports.company_file import read_company_file, read_items_file
from cloud.imports.import_retail import retail_description
from cloud.imports.online_retail import Catalogue, Fate, fate_of, normal_code, read_catalogue, read_lines
from cloud.imports.trading_day import CURRENCY, MADE_UP_SUPPLIER, items_of, made_up_cost_micro
from cloud.store import master
from protocols.wire.topics import GatewayAddress
from standalone.warehouse.plan import CUSTOMER, NOTE, OFFERS, Offer, note_of, plan_run

HERE = Path(__file__).parent
OPEN_FOR = timedelta(hours=1)
FOREIGN_OFFERS = (4, 5)  # what rides on P3 is bought in another currency
FOREIGN_CURRENCY = "USD"
FOREIGN_RATE_NANO = 790_000_000  # GBP per USD; made up
RETAIL_CASE = 12
STANDS_AT = "MAIN-STORE"
CUSTOMER_PARTY = Party("customer", CUSTOMER, "示范客户 · A customer of the demonstration")


def description(catalogue: Path | None = None) -> CompanyDescription:
    """The company that the demonstration runs in, with its sites, gate and gateway."""
    demo = read_company_file(HERE / "company.toml")
    if catalogue is None:
        return replace(demo, items=read_items_file(HERE / "catalogue.toml"))
    return replace(demo, settings=retail_description().settings)


def address(catalogue: Path | None = None) -> GatewayAddress:
    """The gateway that the demonstration's gate belongs to."""
    described = description(catalogue)
    gateway = described.gateways[0]
    return GatewayAddress(described.settings.code, gateway.site, gateway.code)


def next_run(connection: psycopg.Connection, catalogue: Path | None = None) -> int:
    """The run after the last one that was prepared: 1 with fresh books."""
    company = master.find_company(connection, description(catalogue).settings.code)
    return 1 if company is None else master.newest_numbered_note(connection, company.company_id, f"{NOTE} ") + 1


def prepare_run(
    connection: psycopg.Connection, run: int, catalogue: Path | None = None, now: datetime | None = None
) -> list[dict[str, str]]:
    """Write everything of one run; the goods list for the virtual reader, [{"epc", "pallet", "item"}].

    connection  the owner's, in autocommit
    catalogue   the Online Retail file, or None for the small catalogue
    The same run prepared again changes nothing but how long its expectations stay open (an hour from now).
    Raises WrongRun, WrongFile, CannotChange, psycopg.Error.
    """
    described = description(catalogue)
    supply = small_supply(described) if catalogue is None else best_sellers(catalogue)
    open_until = (now or datetime.now(UTC)) + OPEN_FOR
    plan = plan_run(run, supply.offers, open_until)
    with connection.transaction():
        company_id = apply_description(connection, replace(described, items=supply.items))
        master.put_parties(connection, company_id, supply.parties)
        master.put_tags(connection, company_id, plan.tags)
        if not master.reopen_expectations(connection, company_id, note_of(run), open_until):
            master.add_expectations(connection, company_id, plan.expectations)
    return [{name: text for name, text in asdict(goods).items() if text is not None} for goods in plan.goods]


def declare_opening_stock(
    connection: psycopg.Connection, catalogue: Path | None = None, now: datetime | None = None
) -> bool:
    """Book what stands near the door (pallet R1) as opening stock, once; whether it was booked by this call.

    After `prepare_run`. It happened at the first moment of the company's current month, in its time zone.
    Raises CannotBook, psycopg.Error.
    """
    described = description(catalogue)
    supply = small_supply(described) if catalogue is None else best_sellers(catalogue)
    moment = now or datetime.now(UTC)
    plan = plan_run(1, supply.offers, moment)
    company = master.find_company(connection, described.settings.code)
    if company is None:
        raise master.UnknownCode(f"company {described.settings.code} is not prepared yet")
    places = master.locations(connection, company.company_id)
    item_ids = master.item_ids(connection, company.company_id)
    offers = {offer.item: offer for offer in supply.offers}
    local = moment.astimezone(ZoneInfo(company.settings.time_zone))
    began = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = [
        Declared(
            kind=Kind.OPENING_STOCK,
            item_id=item_ids[tag.item_code],
            qty_micro=tag.qty_micro,
            from_id=places["WORLD"].location_id,
            to_id=places[STANDS_AT].location_id,
            occurred_us=round(began.timestamp()) * 1_000_000,
            document="OPENING",
            price_micro=offers[tag.item_code].price_micro,
            rate_nano=offers[tag.item_code].rate_nano,
        )
        for tag in plan.standing
    ]
    # The key alone decides: the month of a later call is another, the stock is the same.
    digest = hashlib.sha256(b"opening stock of the demonstration").digest()
    return not declare_movements(connection, company.company_id, rows, "demonstration/opening", digest).replayed


@dataclass(frozen=True, slots=True)
class Supply:
    """What the pallets are loaded from: articles, twelve offers of them, and who is met."""

    items: tuple[Item, ...]
    offers: tuple[Offer, ...]
    parties: tuple[Party, ...]


def small_supply(described: CompanyDescription) -> Supply:
    """The small catalogue, in the order of offers.toml."""
    gtins = {item.code: item.gtin for item in described.items}
    with (HERE / "offers.toml").open("rb") as file:
        content = tomllib.load(file)
    offers = tuple(
        Offer(
            item=table["item"],
            supplier=table["supplier"],
            price_micro=parse_scaled(table["price"], 6),
            currency=table["currency"],
            rate_nano=parse_scaled(table.get("rate", "1"), 9),
            case_pieces=table["case"],
            gtin=gtins[table["item"]],
        )
        for table in content["offers"]
    )
    suppliers = (Party("supplier", table["code"], table["name"]) for table in content["suppliers"])
    return Supply(described.items, offers, (*suppliers, CUSTOMER_PARTY))


def best_sellers(path: Path) -> Supply:
    """The twelve articles of which the file's most typical day sold the most pieces. Raises WrongFile, OSError."""
    catalogue = read_catalogue(path)
    sold: Counter[str] = Counter()
    for line in read_lines(path, catalogue.typical_day()):
        if fate_of(line, catalogue)[0] is Fate.SALE:
            sold[normal_code(line.code)] += line.quantity or 0
    best = sorted(sold, key=lambda code: (-sold[code], code))[:OFFERS]
    offers = tuple(_retail_offer(catalogue, code, number) for number, code in enumerate(best))
    items = tuple(item for item in items_of(catalogue) if item.code in set(best))
    return Supply(items, offers, (MADE_UP_SUPPLIER, CUSTOMER_PARTY))


def _retail_offer(catalogue: Catalogue, code: str, number: int) -> Offer:
    foreign = number in FOREIGN_OFFERS
    cost = made_up_cost_micro(catalogue, code)
    return Offer(
        item=code,
        supplier=MADE_UP_SUPPLIER.code,
        price_micro=cost * 10**9 // FOREIGN_RATE_NANO if foreign else cost,
        currency=FOREIGN_CURRENCY if foreign else CURRENCY,
        rate_nano=FOREIGN_RATE_NANO if foreign else 10**9,
        case_pieces=RETAIL_CASE,
    )
