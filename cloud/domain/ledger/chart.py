"""What master data makes of movements and value events: their cost pools, and the account opposite.

The inventory account of goods follows from where they lie and what they are; a posting rule names the other
side. Worked out once for each distinct combination of a batch.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.domain.ledger.posting import NONE, PostingRule, rule_for
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


@dataclass(slots=True)
class Legs:
    """What master data makes of n rows. NONE: absent.

    keys      the distinct pools
    src, dst  int64[n], index into keys
    counter   int64[n], account_id
    reject    {row: why it cannot be booked}
    """

    keys: list[PoolKey]
    src: Int64
    dst: Int64
    counter: Int64
    reject: dict[int, str]


_Leg = tuple[PoolKey | None, PoolKey | None, int, str | None]


@dataclass(slots=True)
class Chart:
    """Master data of one batch.

    locations    {location_id: (kind, site_id or 0)};  items  {item_id: (class, method)}
    accounts     {role: account_id};  rules  in falling priority
    work_orders  {location_id: (item it makes, dimension_id)}
    """

    locations: dict[int, tuple[str, int]]
    items: dict[int, tuple[str, str]]
    accounts: dict[str, int]
    rules: list[PostingRule]
    work_orders: dict[int, tuple[int, int]] = field(default_factory=dict)

    def legs(self, moves: MovementColumns) -> Legs:
        """Pools and counter account of each movement; worked out once for each distinct combination."""
        if len(moves) == 0:
            nothing = np.zeros(0, np.int64)
            return Legs([], nothing, nothing, nothing, {})
        columns = np.stack([moves.kind, moves.item, moves.from_id, moves.to_id, moves.lot], axis=1)
        distinct, back = np.unique(columns, axis=0, return_inverse=True)
        back = back.reshape(-1)
        answers = [self._leg(*map(int, row)) for row in distinct]
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

    def _leg(self, kind: int, item: int, from_id: int, to_id: int, lot: int) -> _Leg:
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
        rule = rule_for(self.rules, kind, self.items[item][0], site)
        if rule is None:
            return None, None, NONE, f"no posting rule covers movement kind {kind}"
        if src is not None and dst is not None:
            return src, dst, NONE, None
        if rule.counter_role is None:
            return None, None, NONE, f"movement kind {kind} joins two pools, but only one side is stock"
        account = self.accounts.get(rule.counter_role)
        if account is None:
            return None, None, NONE, f"the chart has no account for {rule.counter_role}"
        return src, dst, account, None

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
        account = self.accounts.get(role)
        return (NONE, f"the chart has no account for {role}") if account is None else (account, None)

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
            return (site, output, self.accounts["wip"], dimension, 0, 0)
        item_class, method = self.items[item]
        role = item_class if kind in PHYSICAL_PLACES else _ROLE_OF_PLACE.get(kind)
        if role is None:
            return None
        if method != "specific":
            return (site, item, self.accounts[role], 0, 0, 0)
        if lot == 0:
            return f"item {item} is costed by specific identification: its lot or serial number must be named"
        return (site, item, self.accounts[role], 0, 0, lot)

    def method_of(self, key: PoolKey) -> str:
        """How a new pool of this key is costed: work in progress gathers cost, everything else as its item says."""
        return "moving_average" if key[2] == self.accounts.get("wip") else self.items[key[1]][1]
