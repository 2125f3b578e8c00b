"""What master data makes of movements and value events: their cost pools, and the account opposite.

The inventory account of goods follows from where they lie and what they are; a posting rule names the other
side. Worked out once for each distinct combination of a batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.domain.distinct import distinct_rows
from cloud.domain.ledger.posting import NONE, PostingRule, rule_for
from cloud.domain.ledger.target import pack
from cloud.domain.movement import Kind, MovementColumns

Int64 = NDArray[np.int64]
# site (0: the company), item, inventory account, dimension set, owner, lot (0: goods of all lots together)
PoolKey = tuple[int, int, int, int, int, int]

# The inventory account of goods, by the kind of place they lie in; places of the world have none.
_ROLE_OF_PLACE = {"clarification": "clarification_stock", "in_transit": "in_transit"}
# Places on the company's own floor; goods there stand on the account of their class.
PHYSICAL_PLACES = ("site", "zone", "bin")
WORK_ORDER = "work_order"
# Why a revaluation moves cost between the variances of a work order.
USAGE_REASON = "usage"


class NoAccount(LookupError):
    """The chart lacks an account that no company can do without."""


@dataclass(slots=True)
class Legs:
    """What master data makes of n rows. NONE: absent.

    keys      the distinct pools
    src, dst  int64[n], index into keys
    counter   int64[n], target: account and dimension set
    reject    {row: why it cannot be booked}
    """

    keys: list[PoolKey]
    src: Int64
    dst: Int64
    counter: Int64
    reject: dict[int, str]


_Leg = tuple[PoolKey | None, PoolKey | None, int, str | None]


class Accounts(dict[str, int]):
    """{role: account_id} everywhere, and what stands for a role at one site only."""

    def __init__(
        self, everywhere: Mapping[str, int], at_site: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        super().__init__(everywhere)
        self._at_site = dict(at_site or {})

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int, int]]) -> "Accounts":
        """From (role, site_id or 0, account_id)."""
        found = list(rows)
        return cls(
            {role: account for role, site, account in found if site == 0},
            {(role, site): account for role, site, account in found if site != 0},
        )

    def at(self, role: str, site: int) -> int | None:
        """The account that stands for a role at a site; None where none does."""
        return self._at_site.get((role, site), self.get(role))

    def all_of(self, role: str) -> list[int]:
        """Every account that stands for the role anywhere."""
        found = [account for (name, _), account in self._at_site.items() if name == role]
        return [*found, *([self[role]] if role in self else [])]


@dataclass(frozen=True, slots=True)
class DimensionNeeds:
    """Which types of dimension accounts ask for or allow, and which of them dimension sets name.

    required, allowed  {account_id: {type_id}};  named  {dimension_id: {type_id}};  types  {type_id: its code}
    numbers            {account_id: its number}
    """

    required: Mapping[int, frozenset[int]] = field(default_factory=dict)
    allowed: Mapping[int, frozenset[int]] = field(default_factory=dict)
    named: Mapping[int, frozenset[int]] = field(default_factory=dict)
    types: Mapping[int, str] = field(default_factory=dict)
    numbers: Mapping[int, str] = field(default_factory=dict)

    def refuses(self, account: int, dimension: int) -> str | None:
        """Why lines of this account cannot bear this dimension set; None when they can."""
        named = self.named.get(dimension, frozenset())
        if missing := self.required.get(account, frozenset()) - named:
            return f"account {self.numbers.get(account, account)} asks for a {self._codes(missing)}"
        if named and (extra := named - self.allowed.get(account, frozenset())):
            return f"account {self.numbers.get(account, account)} takes no {self._codes(extra)}"
        return None

    def _codes(self, types: frozenset[int]) -> str:
        return ", ".join(sorted(self.types.get(one, str(one)) for one in types))


@dataclass(slots=True)
class Chart:
    """Master data of one batch.

    locations      {location_id: (kind, site_id or 0)};  items  {item_id: (class, method)}
    rules          in falling priority
    work_orders    {location_id: (item it makes, dimension_id)}
    party_classes  {party_id: its class} where a rule asks for one
    """

    locations: dict[int, tuple[str, int]]
    items: dict[int, tuple[str, str]]
    accounts: Accounts
    rules: list[PostingRule]
    work_orders: dict[int, tuple[int, int]] = field(default_factory=dict)
    party_classes: dict[int, str] = field(default_factory=dict)
    needs: DimensionNeeds = field(default_factory=DimensionNeeds)

    def legs(self, moves: MovementColumns) -> Legs:
        """Pools and counter account of each movement; worked out once for each distinct combination."""
        if len(moves) == 0:
            nothing = np.zeros(0, np.int64)
            return Legs([], nothing, nothing, nothing, {})
        reasons, of_reason = _numbered(moves.reason)
        classes, of_class = self._classes(moves.party)
        terms = (
            moves.kind,
            moves.item,
            moves.from_id,
            moves.to_id,
            moves.lot,
            moves.dimension,
            of_reason,
            of_class,
        )
        first, back = distinct_rows(terms)
        distinct = np.stack([column[first] for column in terms], axis=1).tolist()
        answers = [self._leg(tuple(row[:6]), reasons[row[6]], classes[row[7]]) for row in distinct]
        keys = list(dict.fromkeys(key for answer in answers for key in answer[:2] if key is not None))
        index: dict[PoolKey | None, int] = {key: i for i, key in enumerate(keys)} | {None: NONE}
        refused = np.array([answer[3] is not None for answer in answers])
        return Legs(
            keys,
            np.array([index[answer[0]] for answer in answers], np.int64)[back],
            np.array([index[answer[1]] for answer in answers], np.int64)[back],
            np.array([answer[2] for answer in answers], np.int64)[back],
            {int(row): answers[back[row]][3] or "" for row in np.flatnonzero(refused[back])},
        )

    def _classes(self, party: Int64) -> tuple[list[str], Int64]:
        """(Distinct classes, index into them by row): all are one where no rule asks for any."""
        if not self.party_classes:
            return [""], np.zeros(len(party), np.int64)
        distinct, back = np.unique(party, return_inverse=True)
        return [self.party_classes.get(one, "") for one in distinct.tolist()], back.reshape(-1)

    def _leg(self, terms: tuple[int, ...], reason: str, party_class: str) -> _Leg:
        """terms: kind, item, from, to, lot, dimension set."""
        kind, item, from_id, to_id, lot, dimension = terms
        src, dst = self.pool_at(item, from_id, lot), self.pool_at(item, to_id, lot)
        for found in (src, dst):
            if isinstance(found, str):
                return None, None, NONE, found
        assert not isinstance(src, str)  # noqa: S101  told above
        assert not isinstance(dst, str)  # noqa: S101  told above
        if src == dst:  # inside one pool, or between two places of the world: nothing to cost
            return None, None, NONE, None
        if (wrong := self._work_order_refuses(kind, item, from_id, to_id, src)) is not None:
            return None, None, NONE, wrong
        site = (src or dst or (0,))[0]
        rule = rule_for(self.rules, kind, self.items[item][0], site, reason, party_class)
        if rule is None:
            return None, None, NONE, f"no posting rule covers movement kind {kind}" + (reason and f", {reason}")
        if src is not None and dst is not None:
            return src, dst, NONE, None
        if rule.counter_role is None:
            return None, None, NONE, f"movement kind {kind} joins two pools, but only one side is stock"
        counter, wrong = self._counter(rule.counter_role, site, dimension or rule.dimension_id)
        return (None, None, NONE, wrong) if wrong else (src, dst, counter, None)

    def _counter(self, role: str, site: int, dimension: int) -> tuple[int, str | None]:
        """The target opposite a pool: (target, why there is none)."""
        account = self.accounts.at(role, site)
        if account is None:
            return NONE, f"the chart has no account for {role}"
        if (wrong := self.needs.refuses(account, dimension)) is not None:
            return NONE, wrong
        return pack(account, dimension), None

    def _work_order_refuses(
        self, kind: int, item: int, from_id: int, to_id: int, src: PoolKey | None
    ) -> str | None:
        """A work order holds what it makes; components go into it as cost, by production issues only."""
        if kind == Kind.PRODUCTION_ISSUE:
            if to_id not in self.work_orders or src is None:
                return "a production issue takes goods out of stock and into a work order"
            return None
        for location in (from_id, to_id):
            if location in self.work_orders and self.work_orders[location][0] != item:
                return f"item {item} is not what the work order at location {location} makes"
        return None

    def event_leg(self, kind: int, key: PoolKey, reason: str) -> tuple[int, str | None]:
        """The account opposite a value event on this pool: (account_id, why there is none)."""
        rule = rule_for(self.rules, kind, self.items[key[1]][0], key[0], reason)
        if rule is None or rule.counter_role is None:
            return NONE, f"no posting rule covers value events of kind {kind}"
        role = rule.counter_role
        if kind == Kind.REVALUATION and reason == USAGE_REASON and rule.reason is None:
            role = "usage_variance"
        return self._counter(role, key[0], rule.dimension_id)

    def pool_at(self, item: int, location: int, lot: int) -> PoolKey | str | None:
        """The pool of goods at a place; None in the world; a text says why there can be none."""
        if item not in self.items:
            return f"no item {item}"
        if location not in self.locations:
            return f"no location {location}"
        kind, site = self.locations[location]
        if kind == WORK_ORDER:
            if location not in self.work_orders:
                return f"location {location} has no work order"
            output, dimension = self.work_orders[location]
            return (site, output, self._inventory("wip", site), dimension, 0, 0)
        item_class, method = self.items[item]
        role = item_class if kind in PHYSICAL_PLACES else _ROLE_OF_PLACE.get(kind)
        if role is None:
            return None
        if method != "specific":
            return (site, item, self._inventory(role, site), 0, 0, 0)
        if lot == 0:
            return f"item {item} is costed by specific identification: its lot or serial number must be named"
        return (site, item, self._inventory(role, site), 0, 0, lot)

    def method_of(self, key: PoolKey) -> str:
        """How a new pool of this key is costed: work in progress gathers cost, everything else as its item says."""
        return "moving_average" if key[2] in self.accounts.all_of("wip") else self.items[key[1]][1]

    def _inventory(self, role: str, site: int) -> int:
        account = self.accounts.at(role, site)
        if account is None:
            raise NoAccount(f"the chart has no account for {role}")
        return account


def _numbered(texts: list[str]) -> tuple[list[str], Int64]:
    """(Distinct texts, index into them by row)."""
    if not any(texts):
        return [""], np.zeros(len(texts), np.int64)
    index: dict[str, int] = {}
    rows = np.array([index.setdefault(text, len(index)) for text in texts], np.int64)
    return list(index), rows
