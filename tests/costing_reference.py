"""What costing says, written a second time: plain lists and Python's integers, for comparison with the kernel.

A pool is a list of layers, oldest first; its quantity and value are the sums of them, kept nowhere else.
FIFO appends a layer for each receipt, a moving average keeps one. Layers below zero are shortages, costed at
the last known cost; receipts settle them oldest first. Goods without a cost are settled by the first cost.
"""

from dataclasses import dataclass, field

LIMIT = 2**61  # of a value and of a quantity, in 10⁻⁶


class TooMuch(ArithmeticError):
    """A value or a quantity passes LIMIT; `row` is the movement's."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.row = row


def divided(numerator: int, denominator: int) -> int:
    """Half up on magnitude."""
    sign = -1 if numerator < 0 else 1
    return sign * ((abs(numerator) * 2 + denominator) // (denominator * 2))


@dataclass
class Layer:
    """What is left: quantity and value of one sign."""

    no: int
    qty: int
    value: int
    uncosted: bool


@dataclass
class Pool:
    """One queue; `last` is the last known cost as (value, quantity)."""

    item: int
    is_fifo: bool
    unit: int
    layers: list[Layer] = field(default_factory=list)
    last: tuple[int, int] | None = None
    next_no: int = 1

    @property
    def qty(self) -> int:
        return sum(layer.qty for layer in self.layers)

    @property
    def value(self) -> int:
        return sum(layer.value for layer in self.layers)

    def append(self, qty: int, value: int, uncosted: bool) -> None:
        self.layers.append(Layer(self.next_no, qty, value, uncosted))
        self.next_no += 1


@dataclass(frozen=True)
class Movement:
    """Pools are indexes; `own` is the value that a receipt comes with."""

    source: int | None
    target: int | None
    qty: int
    own: int | None = None


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


@dataclass
class Books:
    """The pools and the items' last costs, and what happened to them."""

    pools: list[Pool]
    last_costs: dict[int, tuple[int, int]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    uncosted: set[int] = field(default_factory=set)

    def play(self, movements: list[Movement]) -> None:
        """Raises TooMuch."""
        for row, movement in enumerate(movements):
            carried = None
            if movement.source is not None:
                carried = self._issue(row, movement.source, movement.qty)
            if movement.target is not None:
                self._receive(row, movement, carried)

    def _last_cost(self, pool: Pool, qty: int) -> int | None:
        known = pool.last or self.last_costs.get(pool.item)
        return None if known is None else divided(known[0] * qty, known[1])

    def _note(
        self, row: int, step: int, index: int, qty: int, value: int, before: int, corrects: int | None
    ) -> None:
        pool = self.pools[index]
        if max(abs(pool.value), abs(pool.qty)) > LIMIT:
            raise TooMuch(row)
        posted = divided(pool.value, pool.unit) - divided(before, pool.unit)
        self.entries.append(Entry(row, step, index, qty, value, posted, corrects))

    def _issue(self, row: int, index: int, qty: int) -> int:
        pool, before, taken, need = self.pools[index], self.pools[index].value, 0, qty
        while need and pool.layers and pool.layers[0].qty > 0:
            layer = pool.layers[0]
            part = min(need, layer.qty)
            cost = divided(layer.value * part, layer.qty)
            layer.qty, layer.value = layer.qty - part, layer.value - cost
            pool.last = None if layer.uncosted else (cost, part)
            if layer.uncosted:
                self.uncosted.add(row)
            if layer.qty == 0:
                del pool.layers[0]
            need, taken = need - part, taken + cost
        if need:
            cost_or_none = self._last_cost(pool, need)
            if cost_or_none is None:
                self.uncosted.add(row)
            pool.append(-need, -(cost_or_none or 0), cost_or_none is None)
            taken += cost_or_none or 0
        self._note(row, 0, index, -qty, -taken, before, None)
        return taken

    def _value_of(self, row: int, movement: Movement, pool: Pool, carried: int | None) -> int | None:
        if movement.own is not None:
            return movement.own
        if carried is not None:
            return None if carried == 0 and row in self.uncosted else carried
        if pool.qty > 0 and pool.value > 0:
            return divided(pool.value * movement.qty, pool.qty)
        return self._last_cost(pool, movement.qty)

    def _receive(self, row: int, movement: Movement, carried: int | None) -> None:
        assert movement.target is not None
        pool, before, qty = self.pools[movement.target], self.pools[movement.target].value, movement.qty
        found = self._value_of(row, movement, pool, carried)
        value, known = found or 0, found is not None
        if value > LIMIT or max(before + value, pool.qty + qty) > LIMIT:
            raise TooMuch(row)
        if not known:
            self.uncosted.add(row)
        # The receipt's entry stands before those of what it settles, so it is written before the layers change.
        posted = divided(before + value, pool.unit) - divided(before, pool.unit)
        self.entries.append(Entry(row, 1, movement.target, qty, value, posted))
        self._settle(row, movement.target, qty, value, known)
        if known:
            average = not pool.is_fifo and pool.qty > 0
            pool.last = (pool.value, pool.qty) if average else (value, qty)
            if movement.own is not None:
                self.last_costs[pool.item] = (value, qty)

    def _settle(self, row: int, index: int, qty: int, value: int, known: bool) -> None:
        """What a receipt does to what waited for it, and the layer that its rest becomes."""
        pool, rest, rest_value, step = self.pools[index], qty, value, 2
        total = pool.value + value  # what the pool is worth, the receipt's rest included
        for layer in list(pool.layers):
            if layer.qty < 0 and rest:
                part = min(-layer.qty, rest)
                true_cost = divided(rest_value * part, rest)
                assumed = divided(-layer.value * part, -layer.qty)
                layer.qty, layer.value = layer.qty + part, layer.value + assumed
                rest, rest_value = rest - part, rest_value - true_cost
                change = assumed - true_cost
            elif layer.qty > 0 and layer.uncosted and known:
                change = divided(value * layer.qty, qty)
                layer.value, layer.uncosted = layer.value + change, False
            else:
                continue
            before, total = total, total + change
            if abs(total) > LIMIT:
                raise TooMuch(row)
            posted = divided(total, pool.unit) - divided(before, pool.unit)
            self.entries.append(Entry(row, step, index, 0, change, posted, layer.no))
            step += 1
        pool.layers = [layer for layer in pool.layers if layer.qty]
        if not rest:
            return
        if pool.is_fifo or not pool.layers:
            pool.append(rest, rest_value, not known)
        else:
            kept = pool.layers[0]
            kept.qty, kept.value = kept.qty + rest, kept.value + rest_value
            kept.uncosted = kept.uncosted and not known
