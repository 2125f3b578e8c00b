"""Which movements and value events no posting rule covers, found before they happen.

Every combination that can occur is asked for its rule, and the rule for its accounts: kind, class of the item, site,
reason, class of the party. Sites, reasons and classes of parties that neither a rule nor an account tells apart stand
for each other: they are asked once, as site 0, reason and class `""`. Combinations that lack the same thing are told
together, with None where it makes no difference.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product

from cloud.domain.ledger.posting import PostingRule, rule_for
from cloud.domain.ledger.rules_shipped import WITHOUT_RULE
from cloud.domain.movement import Kind

# Gates make these on their own: nobody is there to name a dimension.
_UNATTENDED = frozenset((Kind.UNEXPLAINED_IN, Kind.UNEXPLAINED_OUT))
# Goods stand on these beside the class of their item, and entries take differences to those, whatever the rules say.
_STOCK_EVERYWHERE = ("in_transit", "clarification_stock", "wip")
_OF_THE_BOOKS = (
    "rounding",
    "cogs",
    "ppv",
    "price_difference",
    "production_variance",
    "usage_variance",
    "allowance",
)


class Lack(StrEnum):
    """What is missing."""

    RULE = "no_rule"
    ACCOUNT = "no_account"
    HEADER = "header"
    NOT_VALID = "not_valid"
    DIMENSION = "dimension_missing"
    DIMENSION_REFUSED = "dimension_refused"


@dataclass(frozen=True, slots=True)
class RoleAccount:
    """What stands for a role: its number, whether it takes lines today, {type: whether lines must name one}."""

    number: str
    is_postable: bool = True
    is_valid: bool = True
    needs: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a company has.

    rules    in force, {kind: in the order in which they count};  accounts  {(role, site; 0: everywhere): account}
    classes  of items in use
    parties  {kind of party: classes in use};  party_of_kind  {kind: the kind of its party}
    sets     {dimension_id: types that the set names}
    """

    rules: Mapping[int, Sequence[PostingRule]]
    accounts: Mapping[tuple[str, int], RoleAccount]
    classes: Sequence[str]
    parties: Mapping[str, Sequence[str]] = field(default_factory=dict)
    party_of_kind: Mapping[Kind, str] = field(default_factory=dict)
    sets: Mapping[int, frozenset[str]] = field(default_factory=dict)

    @property
    def account_sites(self) -> set[int]:
        """Sites where other accounts stand for some role, and 0."""
        return {0, *(site for _, site in self.accounts)}

    def account(self, role: str, site: int) -> RoleAccount | None:
        """The account that stands for a role at a site."""
        return self.accounts.get((role, site), self.accounts.get((role, 0)))


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that may happen; None: whatever it is. dimensions None: nobody said them yet."""

    kind: Kind | None
    item_class: str | None
    site: int | None
    reason: str | None
    party_class: str | None
    dimensions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What cannot be posted, and why.

    role, account  of the chart, where one is at fault;  types  of dimensions
    blocks         False: it can be posted by who names the dimension
    """

    lack: Lack
    thing: Thing
    role: str = ""
    account: str = ""
    types: tuple[str, ...] = ()
    blocks: bool = True


def gaps(facts: Facts, known_reasons: Mapping[Kind, Iterable[str]]) -> list[Gap]:
    """Everything that cannot be posted, together where it lacks the same. Other reasons are as none: `""`."""
    found: dict[tuple[Gap, Kind], list[Thing]] = {}
    axes: dict[Kind, tuple[Sequence[object], ...]] = {}
    for kind in Kind:
        if kind in WITHOUT_RULE:
            continue
        axes[kind] = _axes(facts, kind, known_reasons.get(kind, ()))
        for values in product(*axes[kind]):
            thing = Thing(kind, *values)  # type: ignore[arg-type]
            for gap in judge(facts, thing):
                found.setdefault((replace(gap, thing=_NOTHING), kind), []).append(thing)
    together = [
        replace(gap, thing=thing) for (gap, kind), things in found.items() for thing in _merged(things, axes[kind])
    ]
    return [*_stock_gaps(facts), *_book_gaps(facts), *together]


def judge(facts: Facts, thing: Thing) -> Iterator[Gap]:
    """What one thing lacks."""
    assert thing.kind is not None  # noqa: S101  it may be anything else
    assert thing.item_class is not None  # noqa: S101
    assert thing.site is not None  # noqa: S101
    rule = rule_for(
        facts.rules.get(thing.kind, ()),
        thing.kind,
        thing.item_class,
        thing.site,
        thing.reason or "",
        thing.party_class or "",
    )
    if rule is None:
        yield Gap(Lack.RULE, thing)
        return
    role = rule.counter_role
    if role is None:
        return
    account = facts.account(role, thing.site)
    if account is None:
        yield Gap(Lack.ACCOUNT, thing, role)
        return
    yield from _unusable(account, role, thing)
    named = facts.sets.get(rule.dimension_id, frozenset()) if not thing.dimensions else thing.dimensions
    unsaid = thing.dimensions is None and thing.kind.moves_goods and thing.kind not in _UNATTENDED
    yield from _dimension_gaps(account, role, thing, named, blocks=not unsaid)


def _unusable(account: RoleAccount, role: str, thing: Thing) -> Iterator[Gap]:
    if not account.is_postable:
        yield Gap(Lack.HEADER, thing, role, account.number)
    if not account.is_valid:
        yield Gap(Lack.NOT_VALID, thing, role, account.number)


def _dimension_gaps(
    account: RoleAccount, role: str, thing: Thing, named: frozenset[str], *, blocks: bool
) -> Iterator[Gap]:
    missing = sorted(name for name, needed in account.needs.items() if needed and name not in named)
    if missing:
        yield Gap(Lack.DIMENSION, thing, role, account.number, tuple(missing), blocks)
    if extra := sorted(named - set(account.needs)):
        yield Gap(Lack.DIMENSION_REFUSED, thing, role, account.number, tuple(extra))


def _axes(facts: Facts, kind: Kind, known: Iterable[str]) -> tuple[Sequence[object], ...]:
    """What things of a kind can differ by: what its rules ask for, of that which is in use."""
    rules = facts.rules.get(kind, ())
    sites = facts.account_sites | {rule.site_id for rule in rules if rule.site_id is not None}
    reasons = {"", *known, *(rule.reason for rule in rules if rule.reason is not None)}
    in_use = set(facts.parties.get(facts.party_of_kind.get(kind, ""), ()))
    parties = {""} | (in_use & {rule.party_class for rule in rules})
    return facts.classes, sorted(sites), sorted(reasons), sorted(parties)


def _stock_gaps(facts: Facts) -> Iterator[Gap]:
    """Accounts that goods stand on. Their lines name no dimensions but those of work orders."""
    for role in (*facts.classes, *_STOCK_EVERYWHERE):
        at_fault: dict[Gap, list[Thing]] = {}
        sites = facts.account_sites
        for site in sorted(sites):
            thing = Thing(None, role if role in facts.classes else None, site, None, None)
            for gap in _by_role(facts, role, thing):
                at_fault.setdefault(replace(gap, thing=_NOTHING), []).append(thing)
        for gap, things in at_fault.items():
            if len(things) == len(sites):
                yield replace(gap, thing=replace(things[0], site=None))
            else:
                yield from (replace(gap, thing=thing) for thing in things)


def _book_gaps(facts: Facts) -> Iterator[Gap]:
    """Accounts that entries use by themselves, without a dimension."""
    for role in _OF_THE_BOOKS:
        yield from _by_role(facts, role, Thing(None, None, None, None, None))


def _by_role(facts: Facts, role: str, thing: Thing) -> Iterator[Gap]:
    account = facts.account(role, thing.site or 0)
    if account is None:
        yield Gap(Lack.ACCOUNT, thing, role)
        return
    yield from _unusable(account, role, thing)
    if role != "wip":  # its lines carry the dimension sets of work orders
        yield from _dimension_gaps(account, role, thing, frozenset(), blocks=True)


_NOTHING = Thing(None, None, None, None, None)
_FIELDS = ("item_class", "site", "reason", "party_class")


def _merged(things: Sequence[Thing], axes: tuple[Sequence[object], ...]) -> list[Thing]:
    """The same things with None where all values of an axis are there and nothing else differs."""
    merged = list(things)
    for name, values in zip(_FIELDS, axes, strict=True):
        groups: dict[Thing, list[Thing]] = {}
        for thing in merged:
            groups.setdefault(replace(thing, **{name: None}), []).append(thing)
        merged = [
            one
            for whole, parts in groups.items()
            for one in ([whole] if {getattr(part, name) for part in parts} == set(values) else parts)
        ]
    return merged


def sentence(gap: Gap, site: str | None) -> str:
    """What is lacking, for people. site: the code of the gap's, empty for those that nothing tells apart."""
    what = subject(gap.thing, site)
    types = ", ".join(gap.types)
    match gap.lack:
        case Lack.RULE:
            return f"{what}: no posting rule covers it"
        case Lack.ACCOUNT:
            return f"{what}: the chart has no account for {gap.role}"
        case Lack.HEADER:
            return f"{what}: account {gap.account} ({gap.role}) sums its sub-accounts and takes no lines"
        case Lack.NOT_VALID:
            return f"{what}: account {gap.account} ({gap.role}) is not valid today"
        case Lack.DIMENSION if not gap.blocks:
            return f"{what}: account {gap.account} ({gap.role}) asks for {types}; who declares it must name it"
        case Lack.DIMENSION:
            return f"{what}: account {gap.account} ({gap.role}) asks for {types}, which neither rule nor movement names"
        case Lack.DIMENSION_REFUSED:
            return f"{what}: account {gap.account} ({gap.role}) takes no {types}"


def subject(thing: Thing, site: str | None) -> str:
    """Something that may happen, in words."""
    said = [thing.kind.name.lower() if thing.kind is not None else "the books"]
    if thing.item_class is not None:
        said.append(f"of {thing.item_class}")
    if thing.site is not None:
        said.append(f"at {site}" if site else "anywhere else")
    if thing.reason is not None:
        said.append(f"because of {thing.reason}" if thing.reason else "without a reason that a rule knows")
    if thing.party_class is not None:
        said.append(f"with a party of class {thing.party_class}" if thing.party_class else "with any other party")
    return " ".join(said)


def is_part_of(thing: Thing, gap: Gap, facts: Facts) -> bool:
    """Whether a gap of gaps() concerns this: its judgement is the same."""
    whole = gap.thing
    if whole.kind != thing.kind or whole.item_class not in (None, thing.item_class):
        return False
    named = facts.account_sites | {rule.site_id for rule in facts.rules.get(thing.kind or 0, ())}
    site = thing.site if thing.site in named else 0
    return whole.site in (None, site) and whole.reason in (None, "") and whole.party_class in (None, "")
