"""Costing rows in one compiled pass: int64 arrays only, nothing that knows of names or dates.

A row takes goods from a source pool, puts them into a destination pool, or both; or it changes what a pool
is worth. Every pool is a queue of layers. FIFO takes from its oldest layer, LIFO from its youngest; an
average keeps one layer that receipts merge into; standard cost keeps one that is always worth its quantity
at standard. Layers with negative quantity are shortages: issues that found nothing to take, costed at the
last known cost and settled by the next receipts, oldest first, each with an adjusting entry. A pool's layers
are all positive or all shortages. A layer holds the value left, not a unit price, so the last piece takes
the remainder and an empty pool is worth exactly zero.

A queue is a chain from the layer that gives next to the one that gives last: LIFO's runs from the youngest
to the oldest, every other from the oldest to the youngest, and shortages stand oldest first in all.

One row of the entry arrays is one cost entry. Steps of a row: 0 its issue, 1 its receipt or its change of
value, 2 … the adjustments that its receipt caused.
"""

import numpy as np
from numba import njit

from cloud.domain.rounding import muldiv, to_minor

# Nothing is allocated inside, so that references need not be counted: counting them at every call took ten times
# as long as the costing. Divisors are never 0 here, and C's division asks less about it than Python's.
_compiled = njit(cache=True, _nrt=False, error_model="numpy", no_cfunc_wrapper=True)

# Methods; the numbers are those of methods.Method, and a test holds them together.
MOVING_AVERAGE = 1
FIFO = 2
LIFO = 3
STANDARD = 4
PERIODIC_AVERAGE = 5
PERIODIC_FIFO = 6
PERIODIC_LIFO = 7
SPECIFIC = 8

# What a row does; the numbers are those of pools.Op.
MOVE = 0
FEED = 1
RETURN_IN = 2
RETURN_OUT = 3
VALUE_AT = 4
ABSORB = 5
SET_STANDARD = 6
WRITE_DOWN = 7
CHANGE_METHOD = 8
SETTLE = 9

NONE = -1
UNIT = 1_000_000  # 10⁻⁶ stock units in one
VALUE_LIMIT = 2**61  # a pool's or layer's value; sums of two stay inside int64
QTY_LIMIT = 2**61  # a pool's quantity: 256 movements of the most that one may have

FINE = 0
OVERFLOWED = 1
ENTRIES_FULL = 2
LINKS_FULL = 3

# Places in the counters that every step of the pass shares.
LAYERS, ENTRIES, LINKS, RELEASES, STATUS, STEP = 0, 1, 2, 3, 4, 5


def _record(integers: str, booleans: str = "") -> np.dtype:
    fields = [(name, np.int64) for name in integers.split()] + [(name, np.bool_) for name in booleans.split()]
    return np.dtype(fields, align=True)


# One record a row, pool, layer …: few arrays to hand on, and what belongs together lies together. The kernels write
# `pools.qty[p]` for the field `qty` of record p.
ROW = _record("op src dst qty own extra ref ref_layer ref_cost ref_qty ref_done given", "settled")  # pools.Rows
# head, tail: the layers that give next and last; waiting: how many of its layers have no cost.
POOL = _record(
    "item method unit qty value last_value last_qty next_no standard settled_value settled_qty allowance"
    " head tail waiting"
)
# next: the layer behind it; move, step: what made a layer of this pass.
LAYER = _record("qty value next no pool move step", "uncosted")
ITEM = _record("last_value last_qty")  # the last known cost: value for qty, qty 0 where none is known
ENTRY = _record("move step pool qty value posted layer")  # layer: the one that an adjustment corrects, or NONE
LINK = _record("entry layer qty value")  # which entry took how much of which layer
RELEASE = _record("move pool value posted")  # changes of pools' allowances
# What came of each row (pools.Costed). returned: what of an issue came back so far; made: the layer of a receipt.
OUTCOME = _record("out_value in_value carried done returned variance left made", "uncosted")


@_compiled
def cost_rows(start, stop, rows, pools, layers, items, entries, links, releases, outcomes, count):
    """Cost the rows start … stop − 1 in the order given, changing pools, items' last costs and layers in place.

    rows … outcomes  records as above, 1-D; layers with room for 2 more a row, releases for one a row
    count            int64[6]: how many layers, entries, links and releases are filled, and the status
    returns          the row that the pass stopped at: `stop` with status FINE; the culprit with OVERFLOWED, and
                     the arrays are spoilt; on ENTRIES_FULL or LINKS_FULL the outputs were too small
    """
    for m in range(start, stop):
        if count[ENTRIES] + 4 >= len(entries):
            count[STATUS] = ENTRIES_FULL
            return m
        if rows.op[m] >= VALUE_AT:
            _change_value(m, rows, pools, layers, items, entries, releases, outcomes, count)
        else:
            moved = np.int64(0)
            if rows.src[m] != NONE:
                moved = _issue(m, rows, pools, layers, items, entries, links, releases, outcomes, count)
            if count[STATUS] == FINE and rows.dst[m] != NONE:
                if rows.op[m] == FEED:
                    _feed(m, moved, rows, pools, layers, entries, outcomes, count)
                else:
                    _receive(m, moved, rows, pools, layers, items, entries, outcomes, count)
        if count[STATUS] != FINE:
            return m
    return stop


# ── Issues ──────────────────────────────────────────────────────────────────────────────────────────


@_compiled
def _issue(m, rows, pools, layers, items, entries, links, releases, outcomes, count):
    """Take the row's quantity out of its source pool; the value taken, what no layer could give included."""
    src, qty = rows.src[m], rows.qty[m]
    before = pools.value[src]
    _release(m, src, qty, pools, releases, count)
    if pools.method[src] == STANDARD:
        value = _issue_at_standard(m, src, qty, pools, layers, links, outcomes, count)
    else:
        need, value = qty, np.int64(0)
        if rows.op[m] == RETURN_OUT:
            taken, value = _take_back(m, rows, pools, layers, links, outcomes, count)
            need -= taken
        rest, more = _take(m, src, need, rows, pools, layers, links, outcomes, count)
        value += more
        if rest > 0 and count[STATUS] == FINE:
            value += _fall_short(m, src, rest, pools, layers, items, outcomes, count)
    pools.qty[src] -= qty
    pools.value[src] -= value
    if count[STATUS] != FINE:
        return value
    if pools.method[src] == STANDARD:
        _keep_at_standard(m, 0, src, pools, layers, count)
    if value > VALUE_LIMIT or pools.value[src] < -VALUE_LIMIT or pools.qty[src] < -QTY_LIMIT:
        count[STATUS] = OVERFLOWED
        return value
    outcomes.out_value[m] = value
    _enter(m, 0, src, -qty, -value, before, NONE, pools, entries, count)
    return value


@_compiled
def _take(m, src, need, rows, pools, layers, links, outcomes, count):
    """From the layers that give next: (what they could not give, value taken)."""
    priced = _is_priced(src, rows.settled[m], pools)
    if priced:
        _merge(src, pools, layers)
    value = np.int64(0)
    while need > 0 and pools.head[src] != NONE and layers.qty[pools.head[src]] > 0:
        layer = pools.head[src]
        if count[LINKS] >= len(links):
            count[STATUS] = LINKS_FULL
            return need, value
        if need >= layers.qty[layer]:
            take, part = layers.qty[layer], layers.value[layer]
            pools.head[src] = layers.next[layer]
        else:
            take = need
            part = muldiv(layers.value[layer], take, layers.qty[layer])
            if priced and pools.settled_qty[src] > 0:
                part = muldiv(pools.settled_value[src], take, pools.settled_qty[src])
                # The price of last period never takes more than there is.
                if part < 0 or part > layers.value[layer]:
                    part = layers.value[layer]
        _draw(m, src, layer, take, part, pools, layers, links, outcomes, count)
        need -= take
        value += part
    return need, value


@_compiled
def _draw(m, src, layer, take, part, pools, layers, links, outcomes, count):
    """Take so much of one layer, and say so in a link of the entry that is about to be made."""
    pools.last_value[src], pools.last_qty[src] = part, take
    if layers.uncosted[layer]:
        outcomes.uncosted[m] = True
        pools.last_value[src], pools.last_qty[src] = 0, 0
        if take == layers.qty[layer]:
            pools.waiting[src] -= 1
    layers.qty[layer] -= take
    layers.value[layer] -= part
    k = count[LINKS]
    links.entry[k], links.layer[k], links.qty[k], links.value[k] = count[ENTRIES], layer, take, part
    count[LINKS] = k + 1


@_compiled
def _take_back(m, rows, pools, layers, links, outcomes, count):
    """For a return to a supplier: what is left of the receipt's own layer, as far as needed: (qty, value)."""
    src = rows.src[m]
    layer = _layer_of(m, rows, outcomes)
    # An average has no layers to tell apart, and what another pool holds is not here to be returned.
    if (
        layer == NONE
        or layers.pool[layer] != src
        or layers.qty[layer] <= 0
        or not _is_layered(src, rows.settled[m], pools)
    ):
        return 0, 0
    if count[LINKS] >= len(links):
        count[STATUS] = LINKS_FULL
        return 0, 0
    take = min(rows.qty[m], layers.qty[layer])
    part = muldiv(layers.value[layer], take, layers.qty[layer])
    _draw(m, src, layer, take, part, pools, layers, links, outcomes, count)
    if layers.qty[layer] == 0:
        _unlink(src, layer, pools, layers)
    return take, part


@_compiled
def _fall_short(m, src, need, pools, layers, items, outcomes, count):
    """What no layer could give becomes a shortage at the last known cost."""
    short, known = _last_cost(src, need, pools, items)
    if short < 0 or short > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
        return 0
    if not known:
        outcomes.uncosted[m] = True
    _append(_new_layer(m, 0, src, -need, -short, not known, pools, layers, count), src, pools, layers)
    return short


@_compiled
def _issue_at_standard(m, src, qty, pools, layers, links, outcomes, count):
    """The change of what the pool is worth at standard; the value taken."""
    if pools.standard[src] == NONE:
        outcomes.uncosted[m] = True
    value = pools.value[src] - _at_standard(src, pools.qty[src] - qty, pools, count)
    layer = pools.head[src]
    if layer != NONE and layers.qty[layer] > 0:
        if count[LINKS] >= len(links):
            count[STATUS] = LINKS_FULL
            return value
        k = count[LINKS]
        links.entry[k], links.layer[k] = count[ENTRIES], layer
        links.qty[k] = min(qty, layers.qty[layer])
        links.value[k] = min(value, layers.value[layer])
        count[LINKS] = k + 1
    return value


@_compiled
def _release(m, src, qty, pools, releases, count):
    """Goods that go take their share of the pool's allowance with them."""
    allowance, held = pools.allowance[src], pools.qty[src]
    if allowance > 0:  # and so there are goods: the last ones took the rest of it with them
        _allow(m, src, -muldiv(allowance, min(qty, held), held), pools, releases, count)


# ── Receipts ────────────────────────────────────────────────────────────────────────────────────────


@_compiled
def _receive(m, moved, rows, pools, layers, items, entries, outcomes, count):
    """Put the row's quantity into its destination pool: settle what waited for it, and keep the rest."""
    dst, qty, extra = rows.dst[m], rows.qty[m], rows.extra[m]
    base, known, brought = _cost_of_receipt(m, moved, rows, pools, items, outcomes, count)
    if base < 0 or base > VALUE_LIMIT or abs(extra) > VALUE_LIMIT or base + extra > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
    if count[STATUS] != FINE:
        return
    value = max(base + extra, 0)  # goods are never worth less than nothing; what is beyond finds another place
    known = known or extra > 0
    if not known:
        outcomes.uncosted[m] = True
    if rows.own[m] != NONE and value > 0:  # what came for nothing says nothing of what the item costs
        items.last_value[pools[dst].item], items.last_qty[pools[dst].item] = value, qty
    if pools.method[dst] == STANDARD:
        # Goods that brought no cost of their own are at standard: only what was added later differs from it.
        # Those that set the standard differ from it by nothing but its rounding.
        # What comes back tells no standard: its own cost would hang on the standard that it sets.
        is_return = rows.op[m] == RETURN_IN and rows.own[m] == NONE
        sets_standard = known and pools.standard[dst] == NONE and not is_return
        compared = brought or sets_standard
        _receive_at_standard(m, value, sets_standard, rows, pools, layers, entries, outcomes, count)
        outcomes.variance[m] = base + extra - outcomes.in_value[m] if compared else extra
        return
    outcomes.left[m] = base + extra - value
    before = pools.value[dst]
    pools.qty[dst] += qty
    pools.value[dst] += value
    if pools.value[dst] > VALUE_LIMIT or pools.qty[dst] > QTY_LIMIT:
        count[STATUS] = OVERFLOWED
        return
    outcomes.in_value[m] = value
    _enter(m, 1, dst, qty, value, before, NONE, pools, entries, count)
    rest, rest_value = _settle(m, value, known, rows, pools, layers, entries, outcomes, count)
    if count[STATUS] != FINE:
        return
    if rest > 0:
        _keep(m, rest, rest_value, known, rows, pools, layers, outcomes, count)
    if known:
        if not _is_layered(dst, rows.settled[m], pools) and pools.qty[dst] > 0:
            pools.last_value[dst], pools.last_qty[dst] = pools.value[dst], pools.qty[dst]
        else:
            pools.last_value[dst], pools.last_qty[dst] = value, qty


@_compiled
def _cost_of_receipt(m, moved, rows, pools, items, outcomes, count):
    """What the goods come at, before what was added later: (value, whether it is known, whether they brought it)."""
    dst, qty = rows.dst[m], rows.qty[m]
    if rows.op[m] == RETURN_IN:
        return _cost_of_return(m, rows, pools, items, outcomes, count)
    if rows.own[m] != NONE:
        return rows.own[m], True, True
    given = rows.given[m]
    if rows.src[m] != NONE:
        outcomes.carried[m] = moved if given == NONE else given
        known = moved > 0 or given != NONE or not outcomes.uncosted[m]
        # Also nothing is brought: at standard cost the difference is a variance, not a gift.
        return outcomes.carried[m], known, True
    value, known = _known_value(dst, qty, pools, items)
    if not known and given != NONE:
        return given, True, True
    return value, known, False


@_compiled
def _cost_of_return(m, rows, pools, items, outcomes, count):
    """The share of the issue that it names; what passes the issued quantity comes at the pool's known cost."""
    dst, qty, ref = rows.dst[m], rows.qty[m], rows.ref[m]
    issued, cost, done = rows.ref_qty[m], rows.ref_cost[m], rows.ref_done[m]
    known = True
    if ref != NONE:
        issued, cost, done = rows.qty[ref], outcomes.out_value[ref], outcomes.returned[ref]
        known = ref < m and (cost > 0 or not outcomes.uncosted[ref])
    share = min(qty, max(issued - done, 0))
    outcomes.done[m] = done
    if ref != NONE:
        outcomes.returned[ref] = done + share
    if rows.own[m] != NONE:
        return rows.own[m], True, True
    brought = share > 0 and (known or rows.given[m] != NONE)
    value, known = np.int64(0), brought
    if brought and rows.given[m] != NONE:
        value = rows.given[m]
    elif brought:
        value = muldiv(cost, done + share, issued) - muldiv(cost, done, issued)
    elif share > 0 and ref > m:  # the issue's cost is not there yet; an issue without any comes back without any
        value, known = _known_value(dst, share, pools, items)
    outcomes.carried[m] = value
    if share < qty:
        more, more_known = _known_value(dst, qty - share, pools, items)
        if more < 0 or value < 0:
            count[STATUS] = OVERFLOWED
        value += more
        known = known or more_known
    return value, known, brought


@_compiled
def _settle(m, value, known, rows, pools, layers, entries, outcomes, count):
    """What a receipt settles before it becomes a layer, shortages and goods without a cost: what is left of it."""
    dst, qty = rows.dst[m], rows.qty[m]
    rest, rest_value = qty, value
    count[STEP] = 2
    # What waits for a cost gets it oldest first, also where the youngest gives first.
    turned = known and pools.waiting[dst] > 0 and _is_last_in_first_out(dst, pools)
    if turned:
        _reverse(dst, pools, layers)
    layer = pools.head[dst]
    while layer != NONE and rest > 0 and (layers.qty[layer] < 0 or (known and pools.waiting[dst] > 0)):
        following = layers.next[layer]
        if layers.qty[layer] > 0 and not layers.uncosted[layer]:
            layer = following
            continue
        if count[ENTRIES] + 4 >= len(entries):
            count[STATUS] = ENTRIES_FULL
            return rest, rest_value
        if layers.qty[layer] < 0:
            short = -layers.qty[layer]
            take = min(short, rest)
            true_cost = muldiv(rest_value, take, rest)
            released = muldiv(-layers.value[layer], take, short)
            change = released - true_cost
            layers.qty[layer] += take
            layers.value[layer] += released
            rest -= take
            rest_value -= true_cost
            maker = layers.move[layer]
            if maker != NONE and layers.step[layer] != 0:  # a change of method made it, and no issue
                outcomes.in_value[maker] += change
            elif maker != NONE:
                outcomes.out_value[maker] -= change
                if outcomes.out_value[maker] > VALUE_LIMIT:
                    count[STATUS] = OVERFLOWED
                    return rest, rest_value
            if layers.qty[layer] == 0:
                pools.head[dst] = following
        else:
            change = muldiv(value, layers.qty[layer], qty)
            if change < 0 or change > VALUE_LIMIT:
                count[STATUS] = OVERFLOWED
                return rest, rest_value
            layers.value[layer] = change  # what has no cost was worth nothing
            layers.uncosted[layer] = False
            pools.waiting[dst] -= 1
            if layers.move[layer] != NONE:
                outcomes.in_value[layers.move[layer]] += change
        before = pools.value[dst]
        pools.value[dst] += change
        if abs(pools.value[dst]) > VALUE_LIMIT:
            count[STATUS] = OVERFLOWED
            return rest, rest_value
        _enter(m, count[STEP], dst, 0, change, before, layer, pools, entries, count)
        count[STEP] += 1
        layer = following
    if turned:
        _reverse(dst, pools, layers)
    return rest, rest_value


@_compiled
def _keep(m, rest, rest_value, known, rows, pools, layers, outcomes, count):
    """What is left of a receipt goes into the pool's one layer, or becomes a layer of its own."""
    dst = rows.dst[m]
    if not _is_layered(dst, rows.settled[m], pools):
        _merge(dst, pools, layers)
        head = pools.head[dst]
        if head != NONE:
            layers.qty[head] += rest
            layers.value[head] += rest_value
            return
    layer = _new_layer(m, 1, dst, rest, rest_value, not known, pools, layers, count)
    outcomes.made[m] = layer
    if not known:
        pools.waiting[dst] += 1
    if _is_last_in_first_out(dst, pools):
        _push(layer, dst, pools, layers)
    else:
        _append(layer, dst, pools, layers)


@_compiled
def _receive_at_standard(m, value, sets_standard, rows, pools, layers, entries, outcomes, count):
    """At standard × quantity, whatever was paid; the difference is the row's variance."""
    dst, qty = rows.dst[m], rows.qty[m]
    held = pools.qty[dst]
    if sets_standard:
        pools.standard[dst] = muldiv(value, UNIT, qty)
        pools.last_value[dst], pools.last_qty[dst] = pools.standard[dst], UNIT
        if pools.standard[dst] < 0 or pools.standard[dst] > VALUE_LIMIT:
            count[STATUS] = OVERFLOWED
            return
    received = _at_standard(dst, held + qty, pools, count) - _at_standard(dst, held, pools, count)
    before = pools.value[dst]
    pools.qty[dst] += qty
    pools.value[dst] += received
    too_much = received > VALUE_LIMIT or abs(pools.value[dst]) > VALUE_LIMIT or abs(pools.qty[dst]) > QTY_LIMIT
    if too_much or count[STATUS] != FINE:
        count[STATUS] = OVERFLOWED
        return
    outcomes.in_value[m] = received
    _enter(m, 1, dst, qty, received, before, NONE, pools, entries, count)
    if sets_standard and held != 0:  # what was there before had no cost; now it has this one
        before = pools.value[dst]
        change = _at_standard(dst, pools.qty[dst], pools, count) - before
        pools.value[dst] += change
        if abs(pools.value[dst]) > VALUE_LIMIT or count[STATUS] != FINE:
            count[STATUS] = OVERFLOWED
            return
        _enter(m, 2, dst, 0, change, before, pools.head[dst], pools, entries, count)
        _tell_first_standard(m, held, rows, pools, outcomes, count)
    # The shortage is settled; what there is came with this row, in a layer of its own.
    if held < 0 < pools.qty[dst]:
        short = pools.head[dst]
        layers.qty[short], layers.value[short], layers.uncosted[short] = 0, 0, False
        pools.head[dst] = NONE
    _keep_at_standard(m, 1, dst, pools, layers, count)
    if held <= 0 < pools.qty[dst]:
        outcomes.made[m] = pools.head[dst]


@_compiled
def _tell_first_standard(m, held, rows, pools, outcomes, count):
    """What came and went before the pool had a standard costs what it would have cost with it, each row its part."""
    pool, qty = rows.dst[m], held
    worth = _at_standard(pool, qty, pools, count)
    for row in range(m - 1, -1, -1):
        if rows.dst[row] == pool and rows.op[row] == CHANGE_METHOD:
            outcomes.in_value[row] = worth
            return
        if rows.dst[row] == pool and rows.op[row] != FEED:
            qty -= rows.qty[row]
            before = _at_standard(pool, qty, pools, count)
            outcomes.in_value[row] = worth - before
            worth = before
        if rows.src[row] == pool:
            qty += rows.qty[row]
            before = _at_standard(pool, qty, pools, count)
            outcomes.out_value[row] = before - worth
            worth = before
            if outcomes.out_value[row] > VALUE_LIMIT:
                count[STATUS] = OVERFLOWED
        if count[STATUS] != FINE:
            return


@_compiled
def _feed(m, moved, rows, pools, layers, entries, outcomes, count):
    """The value of what was issued goes into the destination pool, its quantity does not."""
    dst = rows.dst[m]
    value = moved
    if rows.own[m] != NONE:
        value = rows.own[m]
    else:
        if rows.given[m] != NONE:
            value = rows.given[m]
        outcomes.carried[m] = value
    if value > VALUE_LIMIT or abs(rows.extra[m]) > VALUE_LIMIT or abs(value + rows.extra[m]) > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
        return
    before = pools.value[dst]
    taken = _absorb(dst, value + rows.extra[m], pools, layers)
    if pools.value[dst] > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
        return
    outcomes.in_value[m] = taken
    outcomes.left[m] = value + rows.extra[m] - taken
    _enter(m, 1, dst, 0, taken, before, NONE, pools, entries, count)


# ── Changes of value ────────────────────────────────────────────────────────────────────────────────


@_compiled
def _change_value(m, rows, pools, layers, items, entries, releases, outcomes, count):
    """A row without goods: what its pool is worth changes, or how it is costed."""
    op, dst, own = rows.op[m], rows.dst[m], rows.own[m]
    before = pools.value[dst]
    taken = np.int64(0)
    if abs(own) > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
        return
    if op == VALUE_AT:
        taken = _value_at(m, rows, pools, layers, outcomes)
    elif op == ABSORB:
        taken = _absorb(dst, own, pools, layers)
    elif op == SET_STANDARD:
        pools.standard[dst] = own
        if pools.method[dst] == STANDARD:
            pools.last_value[dst], pools.last_qty[dst] = own, UNIT
            taken = _revalue(m, dst, pools, layers, count)
    elif op == CHANGE_METHOD:
        taken = _change_method(m, dst, own, pools, layers, items, count)
    elif op == WRITE_DOWN:
        allowance = pools.allowance[dst]
        if own > 0:  # never more than the goods cost
            change = max(min(own, max(pools.value[dst], 0) - allowance), 0)
        else:  # never more than was written down
            change = max(own, -allowance)
        _allow(m, dst, change, pools, releases, count)
        outcomes.left[m] = own - change
        return
    else:
        if pools.qty[dst] > 0:
            pools.settled_value[dst], pools.settled_qty[dst] = pools.value[dst], pools.qty[dst]
        return
    if abs(pools.value[dst]) > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
        return
    if op in (VALUE_AT, ABSORB):
        outcomes.left[m] = own - taken
    outcomes.in_value[m] = taken
    _enter(m, 1, dst, 0, taken, before, NONE, pools, entries, count)


@_compiled
def _value_at(m, rows, pools, layers, outcomes):
    """So much of `own` as the goods of the named receipt still lie here: the value that the pool took."""
    dst, own, ref = rows.dst[m], rows.own[m], rows.ref[m]
    received = rows.qty[ref] if ref != NONE else rows.ref_qty[m]
    if received <= 0 or pools.method[dst] == STANDARD:
        return np.int64(0)
    if _is_layered(dst, rows.settled[m], pools):
        layer = _layer_of(m, rows, outcomes)
    else:
        _merge(dst, pools, layers)
        layer = pools.head[dst]
    if layer == NONE or layers.pool[layer] != dst:
        return np.int64(0)
    held = min(layers.qty[layer], received)
    if held <= 0:
        return np.int64(0)
    taken = muldiv(abs(own), held, received)
    if own < 0:
        taken = -min(taken, layers.value[layer])
    _add_value(dst, layer, taken, pools, layers)
    pools.value[dst] += taken
    return taken


@_compiled
def _absorb(dst, amount, pools, layers):
    """Spread a value over what the pool holds: what comes by quantity, what goes by value; the part it took."""
    comes = amount > 0
    whole = pools.qty[dst] if comes else pools.value[dst]
    if pools.method[dst] == STANDARD or whole <= 0:
        return np.int64(0)
    spread = amount if comes else min(-amount, whole)
    turned = _is_last_in_first_out(dst, pools)
    if turned:
        _reverse(dst, pools, layers)
    layer = pools.head[dst]
    up_to = np.int64(0)
    given = np.int64(0)
    while layer != NONE:
        up_to += layers.qty[layer] if comes else layers.value[layer]
        share = muldiv(spread, up_to, whole) - given
        given += share
        _add_value(dst, layer, share if comes else -share, pools, layers)
        layer = layers.next[layer]
    if turned:
        _reverse(dst, pools, layers)
    taken = spread if comes else -spread
    pools.value[dst] += taken
    return taken


@_compiled
def _add_value(pool, layer, value, pools, layers):
    """A layer that gets a value has a cost from here on."""
    layers.value[layer] += value
    if value > 0 and layers.uncosted[layer]:
        layers.uncosted[layer] = False
        pools.waiting[pool] -= 1


@_compiled
def _change_method(m, dst, method, pools, layers, items, count):
    """The pool is costed otherwise from here on; the change of its value, which only standard cost makes."""
    was_lifo = _is_last_in_first_out(dst, pools)
    if pools.method[dst] == STANDARD and method != STANDARD and pools.qty[dst] < 0:
        # What the pool lacks is a shortage from here on, and no single issue's: the change of method made it.
        old = pools.head[dst]
        pools.head[dst] = NONE
        missing = layers[old].qty, layers[old].value, layers[old].uncosted
        new = _new_layer(m, 1, dst, missing[0], missing[1], missing[2], pools, layers, count)
        _append(new, dst, pools, layers)
        layers.qty[old], layers.value[old], layers.uncosted[old] = 0, 0, False
    pools.method[dst] = method
    if method == STANDARD:
        if pools.standard[dst] == NONE:
            pools.standard[dst] = _first_standard(dst, pools, layers, items, count)
        if pools.standard[dst] != NONE:
            pools.last_value[dst], pools.last_qty[dst] = pools.standard[dst], UNIT
        return _revalue(m, dst, pools, layers, count)
    if method == MOVING_AVERAGE or (method >= PERIODIC_AVERAGE and method != SPECIFIC):
        _merge(dst, pools, layers)
    elif was_lifo != (method == LIFO):
        _reverse(dst, pools, layers)
    return np.int64(0)


@_compiled
def _first_standard(dst, pools, layers, items, count):
    """What a unit costs in a pool that comes to standard cost without a standard; NONE where nobody knows."""
    costed = False
    layer = pools.head[dst]
    while layer != NONE:
        costed = costed or not layers.uncosted[layer]
        layer = layers.next[layer]
    if pools.qty[dst] > 0 and costed:
        value, known = muldiv(pools.value[dst], UNIT, pools.qty[dst]), True
    else:
        value, known = _last_cost(dst, UNIT, pools, items)
    if not known:
        return NONE
    if value < 0 or value > VALUE_LIMIT:
        count[STATUS] = OVERFLOWED
    return value


@_compiled
def _revalue(m, dst, pools, layers, count):
    """Bring a pool to its standard; the change."""
    change = _at_standard(dst, pools.qty[dst], pools, count) - pools.value[dst]
    pools.value[dst] += change
    _keep_at_standard(m, 1, dst, pools, layers, count)
    return change


@_compiled
def _allow(m, pool, change, pools, releases, count):
    """Change a pool's allowance and note it."""
    if change == 0:
        return
    before = pools.allowance[pool]
    pools.allowance[pool] = before + change
    r = count[RELEASES]
    releases.move[r], releases.pool[r], releases.value[r] = m, pool, change
    releases.posted[r] = to_minor(before + change, pools.unit[pool]) - to_minor(before, pools.unit[pool])
    count[RELEASES] = r + 1


# ── What a pool knows ───────────────────────────────────────────────────────────────────────────────


@_compiled
def _last_cost(pool, qty, pools, items):
    """What `qty` would cost at the last known cost of the pool, else of the item: (value, known)."""
    if pools.last_qty[pool] > 0:
        return muldiv(pools.last_value[pool], qty, pools.last_qty[pool]), True
    item = pools[pool].item
    if items.last_qty[item] > 0:
        return muldiv(items.last_value[item], qty, items.last_qty[item]), True
    return 0, False


@_compiled
def _known_value(pool, qty, pools, items):
    """The value of a receipt without a cost of its own: the pool's current average, else the last known."""
    if pools.value[pool] > 0:
        return muldiv(pools.value[pool], qty, pools.qty[pool]), True
    return _last_cost(pool, qty, pools, items)


@_compiled
def _at_standard(pool, qty, pools, count):
    """A quantity's value at the pool's standard, of the quantity's sign; 0 while there is no standard."""
    if pools.standard[pool] == NONE:
        return np.int64(0)
    value = muldiv(pools.standard[pool], abs(qty), UNIT)
    if value < 0:
        count[STATUS] = OVERFLOWED
    return value if qty >= 0 else -value


@_compiled
def _is_layered(pool, settled, pools):
    """Whether receipts stay apart: always, or once their period is settled, or never."""
    method = pools.method[pool]
    return method in (FIFO, LIFO, SPECIFIC) or (settled and method in (PERIODIC_FIFO, PERIODIC_LIFO))


@_compiled
def _is_priced(pool, settled, pools):
    """Whether issues go out at the last settled price: in periods that are not settled yet."""
    return not settled and pools.method[pool] in (PERIODIC_AVERAGE, PERIODIC_FIFO, PERIODIC_LIFO)


@_compiled
def _is_last_in_first_out(pool, pools):
    return pools.method[pool] in (LIFO, PERIODIC_LIFO)


@_compiled
def _layer_of(m, rows, outcomes):
    """The layer that the named receipt made, or NONE."""
    if rows.ref[m] != NONE:
        return outcomes.made[rows.ref[m]]
    return rows.ref_layer[m]


# ── The queue ───────────────────────────────────────────────────────────────────────────────────────


@_compiled
def _enter(m, step, pool, qty, value, before, layer, pools, entries, count):
    """Write one cost entry; `before` is the pool's value before it."""
    e = count[ENTRIES]
    entries.move[e], entries.step[e], entries.pool[e], entries.layer[e] = m, step, pool, layer
    entries.qty[e], entries.value[e] = qty, value
    entries.posted[e] = to_minor(pools.value[pool], pools.unit[pool]) - to_minor(before, pools.unit[pool])
    count[ENTRIES] = e + 1


@_compiled
def _new_layer(m, step, pool, qty, value, uncosted, pools, layers, count):
    layer = count[LAYERS]
    count[LAYERS] = layer + 1
    layers.qty[layer], layers.value[layer], layers.uncosted[layer] = qty, value, uncosted
    layers.no[layer], layers.pool[layer] = pools.next_no[pool], pool
    layers.move[layer], layers.step[layer] = m, step
    pools.next_no[pool] += 1
    return layer


@_compiled
def _append(layer, pool, pools, layers):
    """Hang a layer behind the one that gives last."""
    layers.next[layer] = NONE
    if pools.head[pool] == NONE:
        pools.head[pool] = layer
    else:
        layers.next[pools.tail[pool]] = layer
    pools.tail[pool] = layer


@_compiled
def _push(layer, pool, pools, layers):
    """Put a layer before the one that gave next."""
    layers.next[layer] = pools.head[pool]
    if pools.head[pool] == NONE:
        pools.tail[pool] = layer
    pools.head[pool] = layer


@_compiled
def _unlink(pool, layer, pools, layers):
    """Take a layer out of its queue, wherever it stands."""
    previous = NONE
    at = pools.head[pool]
    while at != layer:
        previous = at
        at = layers.next[at]
    if previous == NONE:
        pools.head[pool] = layers.next[layer]
    else:
        layers.next[previous] = layers.next[layer]
        if pools.tail[pool] == layer:
            pools.tail[pool] = previous


@_compiled
def _merge(pool, pools, layers):
    """Make one layer of all that the pool holds; it keeps the name of the oldest. Shortages stay apart."""
    head = pools.head[pool]
    if head == NONE or layers.next[head] == NONE or layers.qty[head] < 0:
        return
    kept = head
    at = head
    while at != NONE:
        if layers.no[at] < layers.no[kept]:
            kept = at
        at = layers.next[at]
    qty, value, uncosted, waiting = np.int64(0), np.int64(0), True, 0
    at = head
    while at != NONE:
        qty += layers.qty[at]
        value += layers.value[at]
        waiting += layers.uncosted[at]
        uncosted = uncosted and layers.uncosted[at]
        layers.qty[at] = 0
        layers.value[at] = 0
        at = layers.next[at]
    layers.qty[kept], layers.value[kept], layers.uncosted[kept] = qty, value, uncosted
    pools.waiting[pool] += uncosted - waiting
    layers.next[kept] = NONE
    pools.head[pool] = pools.tail[pool] = kept


@_compiled
def _reverse(pool, pools, layers):
    """Turn the queue round, as between FIFO and LIFO. Shortages keep their order."""
    at = pools.head[pool]
    if at == NONE or layers.qty[at] < 0:
        return
    pools.tail[pool] = at
    previous = NONE
    while at != NONE:
        following = layers.next[at]
        layers.next[at] = previous
        previous = at
        at = following
    pools.head[pool] = previous


@_compiled
def _keep_at_standard(m, step, pool, pools, layers, count):
    """The one layer of a pool at standard is what the pool is; an empty pool has none."""
    kept = pools.head[pool]
    at = kept
    while at != NONE:
        if layers.no[at] < layers.no[kept]:
            kept = at
        layers.qty[at] = 0
        layers.value[at] = 0
        layers.uncosted[at] = False
        at = layers.next[at]
    pools.waiting[pool] = 0
    if pools.qty[pool] == 0:
        pools.head[pool] = NONE
        return
    if kept == NONE:
        kept = _new_layer(m, step, pool, 0, 0, False, pools, layers, count)
    layers.qty[kept], layers.value[kept] = pools.qty[pool], pools.value[pool]
    layers.uncosted[kept] = pools.standard[pool] == NONE
    if layers.uncosted[kept] and pools.qty[pool] > 0:
        pools.waiting[pool] = 1
    layers.next[kept] = NONE
    pools.head[pool] = pools.tail[pool] = kept


@njit(cache=True)
def shares(cost, issued, done, qty):
    """What returns of `qty` carry of their issues' `cost` when `done` of `issued` came back before: int64[n]."""
    result = np.empty(len(cost), np.int64)
    for i in range(len(cost)):
        share = min(qty[i], max(issued[i] - done[i], 0))
        result[i] = muldiv(cost[i], done[i] + share, issued[i]) - muldiv(cost[i], done[i], issued[i])
    return result


@njit(cache=True)
def quiet_places(rows, pools):
    """Where a run may be cut: after which rows no pool is short and no return waits for a later issue.

    rows, pools  records, the pools as they are before the rows;  returns bool[n]
    Pools at standard cost are never short, for their goods cost the same whenever they come; but what moves before
    they have a standard waits for it. Those that change their method among these rows can be short.
    """
    qty, can_be_short = pools.qty.copy(), pools.method != STANDARD
    for m in range(len(rows)):
        if rows.op[m] == CHANGE_METHOD:
            can_be_short[rows.dst[m]] = True
    short = 0
    for pool in range(len(qty)):
        short += qty[pool] < 0 and can_be_short[pool]
    no_standard = (pools.method == STANDARD) & (pools.standard == NONE)
    waiting, n_waiting = np.zeros(len(qty), np.bool_), 0
    waits_until = -1
    quiet = np.zeros(len(rows), np.bool_)
    for m in range(len(rows)):
        op, src, dst = rows.op[m], rows.src[m], rows.dst[m]
        brings = dst != NONE and op < VALUE_AT and op != FEED and rows.own[m] != NONE
        if op in (SET_STANDARD, CHANGE_METHOD) or brings:
            n_waiting -= waiting[dst]
            no_standard[dst] = op == CHANGE_METHOD and rows.own[m] == STANDARD and pools.standard[dst] == NONE
            waiting[dst] = no_standard[dst]
            n_waiting += waiting[dst]
        if op < VALUE_AT:
            if src != NONE:
                short += 0 <= qty[src] < rows.qty[m] and can_be_short[src]
                qty[src] -= rows.qty[m]
                n_waiting += no_standard[src] and not waiting[src]
                waiting[src] = no_standard[src]
            if dst != NONE and op != FEED:
                short -= -rows.qty[m] <= qty[dst] < 0 and can_be_short[dst]
                qty[dst] += rows.qty[m]
                n_waiting += no_standard[dst] and not waiting[dst]
                waiting[dst] = no_standard[dst]
            if op in (RETURN_IN, FEED) and rows.ref[m] > m:
                waits_until = max(waits_until, rows.ref[m])
        quiet[m] = short == 0 and n_waiting == 0 and waits_until <= m
    return quiet
