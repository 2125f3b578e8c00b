"""Streams that end exactly at what the books can hold, and with one more pass it in their last row."""

from collections.abc import Callable

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import method_named
from tests.costing_reference import Row
from tests.costing_streams import Stream

LIMIT = kernels.VALUE_LIMIT
UNIT = kernels.UNIT
FIFO_POOL = ((0, "fifo", 10_000),)
AT_STANDARD = ((0, "standard", 10_000),)


def method(name: str) -> Row:
    """The first pool's change to this method."""
    return Row("change_method", target=0, own=int(method_named(name)), method=name)


def some(rows: list[Row], pools: tuple[tuple[int, str, int], ...] = FIFO_POOL) -> Stream:
    return Stream(pools, tuple(rows))


# Called with 0 they fit; with 1 the last row is refused.
AT_THE_LIMIT: dict[str, Callable[[int], Stream]] = {
    "a receipt's value": lambda more: some([Row(target=0, qty=1, own=LIMIT + more)]),
    "a receipt with its freight": lambda more: some([Row(target=0, qty=1, own=LIMIT - 5, extra=5 + more)]),
    "freight alone": lambda more: some([Row(target=0, qty=1, own=0, extra=LIMIT + more)]),
    "a pool's value": lambda more: some([Row(target=0, qty=1, own=LIMIT - 5), Row(target=0, qty=1, own=5 + more)]),
    "a pool's quantity": lambda more: some([Row(target=0, qty=LIMIT - 5), Row(target=0, qty=5 + more)]),
    "a shortage's quantity": lambda more: some([Row(source=0, qty=LIMIT - 5), Row(source=0, qty=5 + more)]),
    "a shortage's value": lambda more: some(
        [Row(target=0, qty=2, own=LIMIT), Row(source=0, qty=2), Row(source=0, qty=2 + more)]
    ),
    "an issue's cost in the end": lambda more: some(
        [Row(source=0, qty=2), Row(target=0, qty=1, own=LIMIT - 5), Row(target=0, qty=1, own=5 + more)]
    ),
    "what a first cost says of goods without one": lambda more: some(
        [Row(target=0, qty=3), Row(target=0, qty=1, own=LIMIT // 4 + more)]
    ),
    "a value for what is there": lambda more: some(
        [Row(target=0, qty=1, own=5), Row("absorb", target=0, own=LIMIT - 5 + more)]
    ),
    "a value for a receipt": lambda more: some(
        [Row(target=0, qty=1, own=5), Row("value_at", target=0, own=LIMIT - 5 + more, ref=0)]
    ),
    "a write-down": lambda more: some([Row("write_down", target=0, own=LIMIT + more)]),
    "a feed with its freight": lambda more: some(
        [Row(target=0, qty=1, own=0), Row("feed", target=0, qty=1, own=LIMIT - 5, extra=5 + more)]
    ),
    "a standard": lambda more: some([Row("set_standard", target=0, own=LIMIT + more)], AT_STANDARD),
    "a standard that a receipt sets": lambda more: some(
        [Row(target=0, qty=UNIT - more, own=LIMIT)], AT_STANDARD
    ),
    "what goods at standard are worth": lambda more: some(
        [Row("set_standard", target=0, own=LIMIT // 2), Row(target=0, qty=2 * UNIT + more, own=1)], AT_STANDARD
    ),
    "goods at standard that are owed": lambda more: some(
        [Row("set_standard", target=0, own=LIMIT // 2), Row(source=0, qty=2 * UNIT + more)], AT_STANDARD
    ),
    "the quantity at standard": lambda more: some(
        [Row(target=0, qty=LIMIT - 5, own=0), Row(target=0, qty=5 + more)], AT_STANDARD
    ),
    "a new standard of what is there": lambda more: some(
        [
            Row("set_standard", target=0, own=1), Row(target=0, qty=4 * UNIT),
            Row("set_standard", target=0, own=LIMIT // 4 + more),
        ],
        AT_STANDARD,
    ),
    "the standard of a pool that comes to it": lambda more: some(
        [Row(target=0, qty=UNIT - more, own=LIMIT), method("standard")]
    ),
    "freight that is taken off again": lambda more: some([Row(target=0, qty=1, own=9, extra=-LIMIT - more)]),
    "a cost that freight brings down": lambda more: some([Row(target=0, qty=1, own=LIMIT + more, extra=-9)]),
    "a feed": lambda more: some(
        [Row(target=0, qty=1, own=0), Row("feed", target=0, qty=1, own=LIMIT + more)]
    ),
    "a feed that freight brings down": lambda more: some(
        [Row(target=0, qty=1, own=0), Row("feed", target=0, qty=1, given=LIMIT + more, extra=-9)]
    ),
    "freight on a feed": lambda more: some(
        [Row(target=0, qty=1, own=0), Row("feed", target=0, qty=1, own=9, extra=-LIMIT - more)]
    ),
    "freight on a feed of nothing": lambda more: some([Row("feed", target=0, qty=1, own=0, extra=LIMIT + more)]),
    "freight off a feed": lambda more: some([Row("feed", target=0, qty=1, own=0, extra=-LIMIT - more)]),
    "a pool that a feed adds to": lambda more: some(
        [Row(target=0, qty=1, own=9), Row("feed", target=0, qty=1, own=LIMIT - 9 + more)]
    ),
    "what comes at standard": lambda more: some(
        [
            Row("set_standard", target=0, own=LIMIT // 2), Row(source=0, qty=UNIT),
            Row(target=0, qty=2 * UNIT + more, own=1),
        ],
        AT_STANDARD,
    ),
    "goods that waited for a standard": lambda more: some(
        [Row(target=0, qty=3 * UNIT), Row(target=0, qty=UNIT, own=LIMIT // 4 + more)], AT_STANDARD
    ),
    "an issue that waited for a standard": lambda more: some(
        [Row(source=0, qty=UNIT + more), Row(target=0, qty=UNIT, own=LIMIT)], AT_STANDARD
    ),
    "standard goods that came to a standard set before": lambda more: some(
        [
            Row("set_standard", target=0, own=LIMIT // 4 + more), Row(target=0, qty=4 * UNIT, own=1),
            method("standard"),
        ]
    ),
    "the last known cost of what comes to standard": lambda more: some(
        [Row(target=0, qty=UNIT - more, own=LIMIT), Row(source=0, qty=UNIT - more), method("standard")]
    ),
    "an issue's cost at standard": lambda more: some(
        [Row("set_standard", target=0, own=LIMIT // 2), Row(target=0, qty=UNIT), Row(source=0, qty=2 * UNIT + more)],
        AT_STANDARD,
    ),
    "a return of what was issued and what comes beyond it": lambda more: some(
        [
            Row(target=0, qty=1, own=LIMIT // 2), Row(source=0, qty=1),
            Row("return_in", target=0, qty=2, ref=1, extra=more),
        ]
    ),
}  # fmt: skip

# Products that no int64 can say.
BEYOND_COUNTING: dict[str, Stream] = {
    "the known cost of more": some([Row(target=0, qty=1, own=LIMIT), Row(source=0, qty=1), Row(target=0, qty=2**53)]),
    "a shortage": some([Row(target=0, qty=1, own=LIMIT), Row(source=0, qty=2**53)]),
    "a first cost of more": some([Row(target=0, qty=2**53), Row(target=0, qty=1, own=LIMIT)]),
    "a return beyond its issue": some(
        [Row(target=0, qty=1, own=LIMIT), Row(source=0, qty=1), Row("return_in", target=0, qty=2**53, ref=1)]
    ),
    "a return before its issue": some(
        [
            Row(target=0, qty=1, own=LIMIT), Row(source=0, qty=1),
            Row("return_in", target=0, qty=2**53 + 1, ref=3), Row(source=0, qty=2**53),
        ]
    ),
    "a first standard": some([Row(target=0, qty=1, own=LIMIT)], AT_STANDARD),
    "goods out at standard": some(
        [Row("set_standard", target=0, own=LIMIT), Row(source=0, qty=2**53)], AT_STANDARD
    ),
    "goods in at standard": some(
        [Row("set_standard", target=0, own=LIMIT), Row(target=0, qty=2**53, own=1)], AT_STANDARD
    ),
    "goods that wait for a standard": some(
        [Row(source=0, qty=9 * UNIT // 2), Row(target=0, qty=UNIT, own=LIMIT)], AT_STANDARD
    ),
    "goods that came and went before there was a standard": some(
        [Row(target=0, qty=2**60), Row(source=0, qty=2**60 - 1), Row(target=0, qty=UNIT, own=LIMIT // 4)], AT_STANDARD
    ),
    "goods that went and came before there was a standard": some(
        [Row(source=0, qty=2**60), Row(target=0, qty=2**60 + 1), Row(target=0, qty=UNIT, own=LIMIT // 4)], AT_STANDARD
    ),
    "a new standard": some(
        [Row("set_standard", target=0, own=0), Row(target=0, qty=2**53), Row("set_standard", target=0, own=LIMIT)],
        AT_STANDARD,
    ),
    "much that comes to a standard set before": some(
        [Row("set_standard", target=0, own=LIMIT), Row(target=0, qty=2**53, own=0), method("standard")]
    ),
    "the standard of what little there is": some([Row(target=0, qty=1, own=LIMIT), method("standard")]),
}  # fmt: skip
