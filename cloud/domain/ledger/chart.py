"""What master data makes of a movement: from which cost pool to which, and the account opposite.

The inventory account of goods follows from where they lie and what they are; a posting rule names the other
side. Worked out once for each distinct combination of a batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.domain.ledger.posting import NONE, PostingRule, rule_for
from cloud.domain.movement import MovementColumns

Int64 = NDArray[np.int64]
PoolKey = tuple[int, int, int]  # site (0: the company), item, inventory account

# The inventory account of goods, by the kind of place they lie in; places of the world have none.
_ROLE_OF_PLACE = {"clarification": "clarification_stock", "in_transit": "in_transit"}
# Places on the company's own floor; goods there stand on the account of their class.
PHYSICAL_PLACES = ("site", "zone", "bin")


@dataclass(slots=True)
class Legs:
    """What master data makes of n movements: keys of their pools and their counter account. NONE: absent."""

    src: list[PoolKey | None]
    dst: list[PoolKey | None]
    counter: Int64
    reject: dict[int, str]


@dataclass(slots=True)
class Chart:
    """Master data of one batch.

    locations  {location_id: (kind, site_id or 0)};  items  {item_id: (class, method)}
    accounts   {role: account_id};  rules  in falling priority
    """

    locations: dict[int, tuple[str, int]]
    items: dict[int, tuple[str, str]]
    accounts: dict[str, int]
    rules: list[PostingRule]

    def legs(self, moves: MovementColumns) -> Legs:
        """Pools and counter account of each movement; worked out once for each distinct combination."""
        keys = np.stack([moves.kind, moves.item, moves.from_id, moves.to_id], axis=1)
        distinct, back = np.unique(keys, axis=0, return_inverse=True)
        answers = [self._leg(*map(int, key)) for key in distinct]
        back = back.reshape(-1)
        reject = {row: why for row, i in enumerate(back.tolist()) if (why := answers[i][3]) is not None}
        return Legs(
            [answers[i][0] for i in back],
            [answers[i][1] for i in back],
            np.array([answers[i][2] for i in back], np.int64),
            reject,
        )

    def _leg(
        self, kind: int, item: int, from_id: int, to_id: int
    ) -> tuple[PoolKey | None, PoolKey | None, int, str | None]:
        if item not in self.items:
            return None, None, NONE, f"no item {item}"
        for location in (from_id, to_id):
            if location not in self.locations:
                return None, None, NONE, f"no location {location}"
        src, dst = self._pool_key(from_id, item), self._pool_key(to_id, item)
        if src == dst:  # inside one pool, or between two places of the world: nothing to cost
            return None, None, NONE, None
        site = (src or dst or (0, 0, 0))[0]
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

    def _pool_key(self, location: int, item: int) -> PoolKey | None:
        kind, site = self.locations[location]
        role = self.items[item][0] if kind in PHYSICAL_PLACES else _ROLE_OF_PLACE.get(kind)
        return None if role is None else (site, item, self.accounts[role])
