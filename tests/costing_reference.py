"""What costing says, written a second time: plain lists and Python's integers, for comparison with the kernel.

A pool is a list of layers, oldest first; its quantity and value are the sums of them, kept nowhere else, and
what a layer was made by stands on the layer. Every question is answered by looking at all layers again.
Layers below zero are shortages, costed at the last known cost; receipts settle them oldest first. Goods
without a cost are settled by the first cost. Quantities are 10⁻⁶ stock units, values 10⁻⁶ of the currency.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

LIMIT = 2**61  # of a value and of a quantity, in 10⁻⁶
UNIT = 10**6  # of a stock unit: what a standard cost is for
ROUNDS = 100  # of a run; a circle of shortages can drift for ever

AVERAGES = ("moving_average", "periodic_average")
PERIODIC_LAYERED = ("periodic_fifo", "periodic_lifo")
PERIODIC = ("periodic_average", *PERIODIC_LAYERED)


class TooMuch(ArithmeticError):
    """A value or a quantity passes LIMIT; `row` is the movement's."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.row = row


def divided(numerator: int, denominator: int) -> int:
    """Half up on magnitude."""
    sign = -1 if numerator < 0 else 1
    return sign * ((abs(numerator) * 2 + denominator) // (denominator * 2))


def share(cost: int, issued: int, done: int, qty: int) -> int:
    """What `qty` of an issue carries when `done` of it came back before, so that all of it carries all."""
    return divided(cost * (done + qty), issued) - divided(cost * done, issued)


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` by weight, each part what has been given so far less what was given before."""
    total, until, parts = sum(weights), 0, []
    for weight in weights:
        parts.append(divided(amount * (until + weight), total) - divided(amount * until, total))
        until += weight
    return parts


@dataclass
class Layer:
    """What is left: quantity and value of one sign. `made`: the row and step that made it, if of this run."""

    no: int
    qty: int
    value: int
    uncosted: bool
    made: tuple[int, int] | None = None


@dataclass
class Pool:
    """One queue; `last` is the last known cost, `price` the settled one, as (value, quantity)."""

    item: int
    method: str
    unit: int
    layers: list[Layer] = field(default_factory=list)
    last: tuple[int, int] | None = None
    next_no: int = 1
    standard: int | None = None
    price: tuple[int, int] | None = None
    allowance: int = 0

    @property
    def qty(self) -> int:
        return sum(layer.qty for layer in self.layers)

    @property
    def value(self) -> int:
        return sum(layer.value for layer in self.layers)

    def held(self) -> list[Layer]:
        return [layer for layer in self.layers if layer.qty > 0]

    def append(self, qty: int, value: int, uncosted: bool, made: tuple[int, int]) -> None:
        self.layers.append(Layer(self.next_no, qty, value, uncosted, made))
        self.next_no += 1

    def drop_empty(self) -> None:
        self.layers = [layer for layer in self.layers if layer.qty]

    def merge(self, layers: list[Layer]) -> None:
        """One layer of these, under the name of the oldest."""
        if len(layers) < 2:
            return
        oldest = layers[0]
        total = (sum(x.qty for x in layers), sum(x.value for x in layers), all(x.uncosted for x in layers))
        self.layers = [x for x in self.layers if x is oldest or not any(x is other for other in layers)]
        oldest.qty, oldest.value, oldest.uncosted = total

    def at_standard(self, qty: int) -> int:
        return divided((self.standard or 0) * qty, UNIT)

    def become(self, qty: int, made: tuple[int, int]) -> None:
        """A pool at standard cost is one layer that is worth its quantity, or none."""
        if qty and not self.layers:
            self.append(0, 0, False, made)
        for layer in self.layers:
            layer.qty, layer.value, layer.uncosted = qty, self.at_standard(qty), self.standard is None
        self.drop_empty()


@dataclass(frozen=True)
class Row:
    """What happens; pools are indexes, other rows are numbers of this stream. `op` as in the kernel, lower case.

    own       the receipt's own value; of a change of value the change, the new standard, or the method's name
    ref       the row it returns or changes; for a stored issue ref_cost, ref_qty, ref_done instead; for a
              stored receipt ref_no, its layer's number, and ref_qty
    """

    op: str = "move"
    source: int | None = None
    target: int | None = None
    qty: int = 0
    own: int | None = None
    extra: int = 0
    ref: int | None = None
    ref_no: int | None = None
    ref_cost: int = 0
    ref_qty: int = 0
    ref_done: int = 0
    given: int | None = None
    settled: bool = False
    method: str = ""

    @property
    def is_edge(self) -> bool:
        """Goods that come at what another row's goods cost."""
        through = self.source is not None and self.target is not None
        return self.own is None and (through or (self.op in ("return_in", "feed") and self.ref is not None))

    @property
    def is_bare(self) -> bool:
        """Goods from outside that bring no cost."""
        return self.op == "move" and self.source is None and self.own is None


@dataclass(frozen=True)
class Entry:
    """One cost entry; `corrects` is the number of the layer it adjusts."""

    row: int
    step: int
    pool: int
    qty: int
    value: int
    posted: int
    corrects: int | None = None


@dataclass(frozen=True)
class Link:
    """So much of a layer went with this row."""

    row: int
    pool: int
    layer: int
    qty: int
    value: int


@dataclass(frozen=True)
class Release:
    """A change of a pool's allowance."""

    row: int
    pool: int
    value: int
    posted: int


@dataclass
class Outcome:
    """What came of one row. final: the issue's cost so far; carried, due: what an edge carried and should have."""

    final: int = 0
    into: int = 0
    variance: int = 0
    left: int = 0
    carried: int | None = None
    returned: int = 0  # of the quantity that it issued
    back: int = 0  # of the quantity received, what counts against the issue it names
    done: int = 0  # what had come back before
    due: int | None = None
    at_standard: bool = False  # issued at standard cost, out of no layer


@dataclass
class Books:
    """The pools and the items' last costs, and what happened to them."""

    pools: list[Pool]
    last_costs: dict[int, tuple[int, int]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    uncosted: set[int] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def play(self, rows: Sequence[Row]) -> None:
        """One pass. Raises TooMuch."""
        self.rows = list(rows)
        self.outcomes = [Outcome() for _ in rows]
        for row, one in enumerate(rows):
            numbers = (one.own or 0, one.extra, one.given or 0, one.ref_cost)
            if max(map(abs, numbers)) > LIMIT:
                raise TooMuch(row)
            carried = None
            if one.source is not None:
                carried = self._issue(row, one)
            if one.op in _CHANGES:
                assert one.target is not None
                _CHANGES[one.op](self, row, one, self.pools[one.target])
            elif one.op == "feed" and one.target is not None:
                self._feed(row, one, carried or 0)
            elif one.target is not None:
                self._receive(row, one, carried)
        for row, one in enumerate(rows):
            if one.is_edge:
                self.outcomes[row].due = self._due(row, one)

    @property
    def open(self) -> set[int]:
        """The edges that carried something else than they should have."""
        return {row for row, one in enumerate(self.outcomes) if one.due is not None and one.due != one.carried}

    def _due(self, row: int, one: Row) -> int | None:
        if one.ref is None or one.op not in ("return_in", "feed"):
            return self.outcomes[row].final
        if one.op == "feed":
            return self.outcomes[one.ref].final
        mine = self.outcomes[row]
        if not mine.back:
            return None
        return share(self.outcomes[one.ref].final, self.rows[one.ref].qty, mine.done, mine.back)

    # What is known

    def _last_cost(self, pool: Pool, qty: int) -> int | None:
        known = pool.last or self.last_costs.get(pool.item)
        return None if known is None else divided(known[0] * qty, known[1])

    def _known_cost(self, pool: Pool, qty: int) -> int | None:
        """Of goods that come without a cost: the pool's average, else the last known."""
        if pool.qty > 0 and pool.value > 0:
            return divided(pool.value * qty, pool.qty)
        return self._last_cost(pool, qty)

    def _note(
        self, row: int, step: int, index: int, qty: int, change: int, before: int, corrects: int | None = None
    ) -> None:
        after = before + change
        if max(abs(after), abs(self.pools[index].qty)) > LIMIT:
            raise TooMuch(row)
        unit = self.pools[index].unit
        posted = divided(after, unit) - divided(before, unit)
        self.entries.append(Entry(row, step, index, qty, change, posted, corrects))

    # Out

    def _issue(self, row: int, one: Row) -> int:
        assert one.source is not None
        pool = self.pools[one.source]
        before = pool.value
        self._release(row, one.source, one.qty)
        if pool.method == "standard":
            self.outcomes[row].at_standard = True
            taken = before - pool.at_standard(pool.qty - one.qty)
            pool.become(pool.qty - one.qty, (row, 0))
            if pool.standard is None:
                self.uncosted.add(row)
        else:
            taken = self._take(row, one, pool)
        if taken > LIMIT:
            raise TooMuch(row)
        self._note(row, 0, one.source, -one.qty, -taken, before)
        self.outcomes[row].final = taken
        return taken

    def _release(self, row: int, index: int, qty: int) -> None:
        """Goods take their share of what was written off."""
        pool = self.pools[index]
        if pool.allowance > 0 and pool.qty > 0:
            self._allow(row, index, -divided(pool.allowance * min(qty, pool.qty), pool.qty))

    def _allow(self, row: int, index: int, change: int) -> None:
        pool = self.pools[index]
        posted = divided(pool.allowance + change, pool.unit) - divided(pool.allowance, pool.unit)
        pool.allowance += change
        if change:
            self.releases.append(Release(row, index, change, posted))

    def _take(self, row: int, one: Row, pool: Pool) -> int:
        assert one.source is not None
        need, taken = one.qty, 0
        for layer in self._givers(one, pool):
            part = min(need, layer.qty)
            if not part:
                break
            cost = divided(layer.value * part, layer.qty)
            if pool.method in PERIODIC and not one.settled and pool.price and part < layer.qty:
                cost = min(divided(pool.price[0] * part, pool.price[1]), layer.value)
            layer.qty, layer.value = layer.qty - part, layer.value - cost
            pool.last = None if layer.uncosted else (cost, part)
            if layer.uncosted:
                self.uncosted.add(row)
            self.links.append(Link(row, one.source, layer.no, part, cost))
            need, taken = need - part, taken + cost
        pool.drop_empty()
        if need:
            cost_or_none = self._last_cost(pool, need)
            if cost_or_none is None:
                self.uncosted.add(row)
            if (cost_or_none or 0) > LIMIT:
                raise TooMuch(row)
            pool.append(-need, -(cost_or_none or 0), cost_or_none is None, (row, 0))
            taken += cost_or_none or 0
        return taken

    def _givers(self, one: Row, pool: Pool) -> list[Layer]:
        """The layers in the order in which they give."""
        self._gather(one, pool)
        held = pool.held()
        if pool.method in ("lifo", "periodic_lifo"):
            held.reverse()
        named = self._named(one, pool) if one.op == "return_out" and _is_layered(one, pool) else None
        return held if named is None else [named, *(layer for layer in held if layer is not named)]

    def _gather(self, one: Row, pool: Pool) -> None:
        """In a period that is not settled, what earlier periods left apart is one stock."""
        if pool.method in PERIODIC_LAYERED and not one.settled:
            pool.merge(pool.held())

    def _named(self, one: Row, pool: Pool) -> Layer | None:
        """What is left of the layer that the named receipt made."""
        for layer in pool.held():
            if one.ref is not None:
                if layer.made == (one.ref, 1):
                    return layer
            elif one.ref_no is not None and layer.no == one.ref_no:
                return layer
        return None

    # In

    def _receive(self, row: int, one: Row, carried: int | None) -> None:
        assert one.target is not None
        pool, mine = self.pools[one.target], self.outcomes[row]
        base, brought = self._cost_of(row, one, pool, carried)
        known = base is not None or one.extra > 0
        cost = (base or 0) + one.extra
        if max(base or 0, cost, pool.qty + one.qty) > LIMIT:
            raise TooMuch(row)
        if not known:
            self.uncosted.add(row)
        if pool.method == "standard":
            self._receive_at_standard(row, one, pool, cost, known, brought)
            value = max(0, cost)
        else:
            value = max(0, cost) if known else 0
            mine.left = cost - value
            before = pool.value
            self._note(row, 1, one.target, one.qty, value, before)
            mine.into = value
            self._settle(row, one, pool, value, known)
            if abs(pool.qty) > LIMIT:
                raise TooMuch(row)
            if known:
                average = not _is_layered(one, pool) and pool.qty > 0
                pool.last = (pool.value, pool.qty) if average else (value, one.qty)
        if one.own is not None and value > 0:
            self.last_costs[pool.item] = (value, one.qty)

    def _cost_of(self, row: int, one: Row, pool: Pool, carried: int | None) -> tuple[int | None, bool]:
        """What the goods come at, if anyone knows, and whether they brought that cost with them."""
        if one.op == "return_in":
            return self._cost_of_return(row, one, pool)
        if one.own is not None:
            return one.own, True
        if carried is None:
            known = self._known_cost(pool, one.qty)
            return (one.given, True) if known is None and one.given is not None else (known, False)
        mine = self.outcomes[row]
        mine.carried = carried if one.given is None else one.given
        if one.given is None and carried == 0 and row in self.uncosted:
            return None, True
        return mine.carried, True

    def _cost_of_return(self, row: int, one: Row, pool: Pool) -> tuple[int | None, bool]:
        cost, issued, done, known = one.ref_cost, one.ref_qty, one.ref_done, True
        if one.ref is not None:
            issue = self.outcomes[one.ref]
            cost, issued, done = issue.final, self.rows[one.ref].qty, issue.returned
            known = one.ref < row and (cost > 0 or one.ref not in self.uncosted)
        mine = self.outcomes[row]
        mine.done, mine.back = done, min(one.qty, max(0, issued - done))
        if one.ref is not None:
            self.outcomes[one.ref].returned += mine.back
        if one.own is not None:
            return one.own, True
        parts = []
        brought = mine.back > 0 and (known or one.given is not None)
        if brought:
            mine.carried = one.given if one.given is not None else share(cost, issued, done, mine.back)
            parts.append(mine.carried)
        elif mine.back and one.ref is not None and one.ref > row:
            parts.append(self._known_cost(pool, mine.back))
            mine.carried = parts[0] or 0
        elif mine.back:
            mine.carried = 0
        if one.qty > mine.back:
            parts.append(self._known_cost(pool, one.qty - mine.back))
        found = [part for part in parts if part is not None]
        return (sum(found) if found else None), brought

    def _settle(self, row: int, one: Row, pool: Pool, value: int, known: bool) -> None:
        """What a receipt does to what waited for it, and the layer that its rest becomes."""
        assert one.target is not None
        rest, rest_value, step = one.qty, value, 2
        total = pool.value + value  # what the pool is worth, the receipt's rest included
        for layer in list(pool.layers):
            if layer.qty < 0 and rest:
                part = min(-layer.qty, rest)
                true_cost = divided(rest_value * part, rest)
                assumed = divided(-layer.value * part, -layer.qty)
                layer.qty, layer.value = layer.qty + part, layer.value + assumed
                rest, rest_value = rest - part, rest_value - true_cost
                change = assumed - true_cost
                if layer.made is not None and layer.made[1] == 1:  # a change of method made it, and no issue
                    self.outcomes[layer.made[0]].into += change
                elif layer.made is not None:
                    issue = self.outcomes[layer.made[0]]
                    issue.final -= change
                    if issue.final > LIMIT:
                        raise TooMuch(row)
            elif layer.qty > 0 and layer.uncosted and known:
                change = divided(value * layer.qty, one.qty)
                layer.value, layer.uncosted = layer.value + change, False
                if layer.made is not None:
                    self.outcomes[layer.made[0]].into += change
            else:
                continue
            self._note(row, step, one.target, 0, change, total, layer.no)
            total, step = total + change, step + 1
        pool.drop_empty()
        if not rest:
            return
        self._gather(one, pool)
        if _is_layered(one, pool) or not pool.layers:
            pool.append(rest, rest_value, not known, (row, 1))
        else:
            kept = pool.layers[0]
            kept.qty, kept.value = kept.qty + rest, kept.value + rest_value
            kept.uncosted = kept.uncosted and not known

    def _receive_at_standard(self, row: int, one: Row, pool: Pool, cost: int, known: bool, brought: bool) -> None:
        assert one.target is not None
        mine, before, held = self.outcomes[row], pool.value, pool.qty
        number = pool.layers[0].no if pool.layers else None
        finds = pool.standard is None and known and (one.op != "return_in" or one.own is not None)
        if finds:
            pool.standard = divided(max(0, cost) * UNIT, one.qty)
            self._hold_standard(row, pool)
        mine.into = pool.at_standard(held + one.qty) - pool.at_standard(held)
        mine.variance = cost - mine.into if brought or finds else one.extra
        if mine.into > LIMIT:
            raise TooMuch(row)
        if held < 0 < held + one.qty:
            pool.layers.clear()  # the shortage is settled: what there is came with this row
        pool.become(held + one.qty, (row, 1))
        self._note(row, 1, one.target, one.qty, mine.into, before)
        if finds and held:
            self._note(row, 2, one.target, 0, pool.at_standard(held), before + mine.into, number)
            self._tell_first_standard(row, one.target, held)

    def _tell_first_standard(self, row: int, index: int, held: int) -> None:
        """What came and went before the pool had a standard costs what it would have cost with it."""
        pool, qty = self.pools[index], held
        for earlier in reversed(range(row)):
            one, outcome = self.rows[earlier], self.outcomes[earlier]
            if one.target == index and one.op == "change_method":
                outcome.into += pool.at_standard(qty)
                return
            if one.target == index and one.op in ("move", "return_in", "return_out"):
                outcome.into += pool.at_standard(qty) - pool.at_standard(qty - one.qty)
                qty -= one.qty
            if one.source == index:
                outcome.final += pool.at_standard(qty + one.qty) - pool.at_standard(qty)
                qty += one.qty
                if outcome.final > LIMIT:
                    raise TooMuch(row)

    def _hold_standard(self, row: int, pool: Pool) -> None:
        assert pool.standard is not None
        if not 0 <= pool.standard <= LIMIT:
            raise TooMuch(row)
        if pool.method == "standard":
            pool.last = (pool.standard, UNIT)

    # Value without goods

    def _feed(self, row: int, one: Row, moved: int) -> None:
        """Without a source it is the far half of a feed whose issue stands elsewhere."""
        assert one.target is not None
        value = moved if one.given is None else one.given
        if one.own is None:
            self.outcomes[row].carried = value
        else:
            value = one.own
        if max(value, abs(value + one.extra)) > LIMIT:
            raise TooMuch(row)
        self._absorb(row, replace(one, own=value + one.extra), self.pools[one.target])

    def _absorb(self, row: int, one: Row, pool: Pool) -> None:
        assert one.own is not None
        held = [] if pool.method == "standard" else pool.held()
        amount, before = one.own if held else 0, pool.value
        if amount >= 0:
            parts = spread(amount, [layer.qty for layer in held])
        else:
            amount = max(amount, -pool.value)
            parts = spread(amount, [layer.value for layer in held]) if amount else [0] * len(held)
        for layer, part in zip(held, parts, strict=True):
            self._add(layer, part)
        self._changed(row, one, pool, before)
        self.outcomes[row].left = one.own - self.outcomes[row].into

    def _value_at(self, row: int, one: Row, pool: Pool) -> None:
        assert one.own is not None
        before, received = pool.value, one.ref_qty if one.ref is None else self.rows[one.ref].qty
        if pool.method != "standard" and received:
            if _is_layered(one, pool):
                layer = self._named(one, pool)
            else:
                self._gather(one, pool)
                layer = pool.held()[0] if pool.held() else None
            if layer is not None:
                part = divided(abs(one.own) * min(layer.qty, received), received)
                self._add(layer, part if one.own > 0 else -min(part, layer.value))
        self._changed(row, one, pool, before)
        self.outcomes[row].left = one.own - self.outcomes[row].into

    def _add(self, layer: Layer, part: int) -> None:
        layer.value += part
        layer.uncosted = layer.uncosted and part <= 0

    def _changed(self, row: int, one: Row, pool: Pool, before: int) -> None:
        assert one.target is not None
        self.outcomes[row].into = pool.value - before
        self._note(row, 1, one.target, 0, pool.value - before, before)

    def _set_standard(self, row: int, one: Row, pool: Pool) -> None:
        before, pool.standard = pool.value, one.own
        self._hold_standard(row, pool)
        if pool.method == "standard":
            pool.become(pool.qty, (row, 1))
        self._changed(row, one, pool, before)

    def _write_down(self, row: int, one: Row, pool: Pool) -> None:
        assert one.own is not None
        assert one.target is not None
        now = pool.allowance
        if one.own > 0:
            change = max(now, min(now + one.own, pool.value)) - now
        else:
            change = max(0, now + one.own) - now
        self._allow(row, one.target, change)
        self.outcomes[row].left = one.own - change

    def _change_method(self, row: int, one: Row, pool: Pool) -> None:
        before = pool.value
        if pool.method == "standard" != one.method and pool.qty < 0:
            # What the pool lacks is a shortage from here on, and no single issue's: the change of method made it.
            old = pool.layers.pop()
            pool.append(old.qty, old.value, old.uncosted, (row, 1))
        pool.method = one.method
        if pool.method in (*AVERAGES, *PERIODIC_LAYERED):
            pool.merge(pool.held())
        elif pool.method == "standard":
            if pool.standard is None:
                pool.standard = self._standard_of(pool)
            pool.merge(pool.layers)
            if pool.standard is not None:
                self._hold_standard(row, pool)
            pool.become(pool.qty, (row, 1))
        self._changed(row, one, pool, before)

    def _standard_of(self, pool: Pool) -> int | None:
        """What a unit costs in a pool that comes to standard cost."""
        if any(not layer.uncosted for layer in pool.held()):
            return divided(pool.value * UNIT, pool.qty)
        return self._last_cost(pool, UNIT)

    def _take_price(self, _row: int, _one: Row, pool: Pool) -> None:
        if pool.qty > 0:
            pool.price = (pool.value, pool.qty)


_CHANGES: dict[str, Callable[[Books, int, Row, Pool], None]] = {
    "value_at": Books._value_at,
    "absorb": Books._absorb,
    "set_standard": Books._set_standard,
    "write_down": Books._write_down,
    "change_method": Books._change_method,
    "settle": Books._take_price,
}


def _is_layered(one: Row, pool: Pool) -> bool:
    """Whether receipts stay apart from each other."""
    return pool.method in ("fifo", "lifo", "specific") or (pool.method in PERIODIC_LAYERED and one.settled)


def run(
    rows: Sequence[Row], pools: list[Pool], last_costs: dict[int, tuple[int, int]], rounds: int = ROUNDS
) -> Books:
    """Rows in canonical order, played again with what edges should have carried until they carry it.

    Goods from outside that came without a cost get that of the next receipt into their pool that has one. What
    is still open after so many rounds stays open. Raises TooMuch.
    """
    current = list(rows)
    while True:
        books = Books(deepcopy(pools), dict(last_costs))
        books.play(current)
        following = _with_finals(rows, current, books)
        if following == current or not rounds:
            return books
        current, rounds = following, rounds - 1


def _with_finals(rows: Sequence[Row], current: list[Row], books: Books) -> list[Row]:
    following = list(current)
    for row, one in enumerate(rows):
        if one.is_edge and (row in books.open or current[row].given is not None):
            following[row] = replace(one, given=books.outcomes[row].due)
        elif one.is_bare and (row in books.uncosted or current[row].given is not None):
            following[row] = replace(one, given=_next_cost(rows, row, current, books))
    return following


def _next_cost(rows: Sequence[Row], row: int, current: list[Row], books: Books) -> int | None:
    """What the row's goods cost like those of the first later receipt that brought its cost with it."""
    for later in range(row + 1, len(rows)):
        one, outcome = current[later], books.outcomes[later]
        if one.target != rows[row].target or one.op == "feed" or not one.qty or later in books.uncosted:
            continue
        brought = one.own is not None or one.source is not None
        if one.op == "return_in" and not brought:
            named = one.given is not None or one.ref is None or one.ref < later
            brought = named and outcome.back == one.qty
        if brought:
            return divided(max(0, outcome.into + outcome.variance) * rows[row].qty, one.qty)
    return None
