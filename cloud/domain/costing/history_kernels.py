"""Whole histories of pools that no edge joins, each in one compiled pass over columns sorted by pool.

What the pass of kernels.py does for any stream, done for the streams that most histories are: receipts and
issues of pools costed by FIFO, LIFO, moving average or specific identification. Shortages and their
settlement are handled here; whatever is rarer (goods without any cost, a cost that only the item's other
pools know, limits) makes the pool RARE: it is left to the pass of kernels.py, and what stands here of it means
nothing.

Every pool has a segment of the sorted columns: its stored layers first, then its events in time order. An
event makes one layer at most, so that layers take the place of events already read: the queue of a pool is
`head` … `tail` − 1 of its own segment, oldest first, and needs no memory of its own. A layer is named by the
row that made it, or by −1 − k when it is stored layer k; so are shortages, which are layers below zero.
"""

import numpy as np
from numba import njit, prange

from cloud.domain.costing.kernels import FIFO, LIFO, MOVING_AVERAGE, NONE, QTY_LIMIT, SPECIFIC, VALUE_LIMIT
from cloud.domain.rounding import muldiv

RARE = 1

# Columns of the pools' state, int64[P, 12]; LAYERS is the façade's.
QTY, VALUE, LAST_VALUE, LAST_QTY, HEAD, TAIL, ADJUSTED_AT, ADJUSTED, LINKED_AT, LINKED, LAYERS, STATUS = range(12)


# ── Sorting ─────────────────────────────────────────────────────────────────────────────────────────


@njit(cache=True, nogil=True)
def count_by_pool(pool, qty, counts):
    """Add to counts int64[P] how often each pool stands in `pool` int64[n]; n, or the first row that cannot be.

    A row cannot be when its pool is outside 0 … P − 1 or its quantity is 0.
    """
    for i in range(len(pool)):
        at = pool[i]
        if at < 0 or at >= len(counts) or qty[i] == 0:
            return i
        counts[at] += 1
    return len(pool)


@njit(cache=True, nogil=True)
def sort_by_pool(pool, qty, own, places, own_row, s_qty, s_own, s_row):
    """Put rows into their pools' segments in the order they come in.

    places   int64[P]: the next free place of each pool's segment, moved on
    own_row  int64[P], output: each pool's last receipt with a value of its own, more than nothing
    """
    for i in range(len(pool)):
        p = pool[i]
        at = places[p]
        places[p] = at + 1
        s_qty[at] = qty[i]
        s_own[at] = own[i]
        s_row[at] = i
        if qty[i] > 0 and own[i] > 0:
            own_row[p] = i


@njit(cache=True, nogil=True)
def unsort(pool, places, s_value, value):
    """From the segments back into the order of rows, by the walk of `sort_by_pool`."""
    for i in range(len(pool)):
        at = places[pool[i]]
        places[pool[i]] = at + 1
        value[i] = s_value[at]


@njit(cache=True, nogil=True)
def gather(starts, counts, source, target):
    """Close the gaps: the counts[g] values from starts[g] on, for every g one behind the other."""
    into = 0
    for g in range(len(starts)):
        for k in range(starts[g], starts[g] + counts[g]):
            target[into] = source[k]
            into += 1


# ── The passes ──────────────────────────────────────────────────────────────────────────────────────


@njit(cache=True, nogil=True)
def cost_segments(first, last, starts, stored, method, state, s_qty, s_own, s_row, cost, adjusted, linked):
    """Cost pools first … last − 1.

    starts    int64[P + 1]: where the pools' segments begin; stored, method int64[P]: layers at their front, method
    state     int64[P, 12]: QTY … LAST_QTY before the first event, changed in place; a pool whose STATUS is RARE
              already is passed over. Outputs: HEAD and TAIL, where the layers left stand in s_*; ADJUSTED and
              LINKED, how many of either the pool made, and ADJUSTED_AT, LINKED_AT from where on
    s_qty, s_own, s_row  int64, int64, int32[n + L]: the segments; spoilt
    cost      int64[n + L], output: the value that an event took or brought in
    adjusted  int32, int32, int64[n + L], output: receipt, issue, and by how much the issue cost less than assumed
    linked    int32, int32, int64, int64[n + L], output: issue, layer, quantity, value; or None
    """
    # Adjustments and links of one pool follow those of the one before, so that few pages of them are touched.
    adjusted_to = linked_to = starts[first]
    for p in range(first, last):
        if state[p, STATUS] == RARE:
            continue
        state[p, ADJUSTED_AT], state[p, LINKED_AT] = adjusted_to, linked_to
        base, end = starts[p], starts[p + 1]
        if method[p] == MOVING_AVERAGE:
            _cost_average(p, base, base + stored[p], end, state, s_qty, s_own, s_row, cost, adjusted, linked)
        elif method[p] == LIFO:
            _cost_lifo(p, base, base + stored[p], end, state, s_qty, s_own, s_row, cost, adjusted, linked)
        elif method[p] in (FIFO, SPECIFIC):
            _cost_fifo(p, base, base + stored[p], end, state, s_qty, s_own, s_row, cost, adjusted, linked)
        else:
            state[p, STATUS] = RARE
        if state[p, ADJUSTED] > 0 and _changed_much(adjusted[2], adjusted_to, state[p, ADJUSTED]):
            state[p, STATUS] = RARE
        if state[p, STATUS] != RARE:
            adjusted_to += state[p, ADJUSTED]
            linked_to += state[p, LINKED]


@njit(cache=True, parallel=True)
def cost_segments_on_all_cores(bounds, starts, stored, method, state, s_qty, s_own, s_row, cost, adjusted, linked):
    """`cost_segments` for the pools bounds[g] … bounds[g + 1] − 1, each group g on the next free core."""
    for g in prange(len(bounds) - 1):
        cost_segments(
            bounds[g], bounds[g + 1], starts, stored, method, state, s_qty, s_own, s_row, cost, adjusted, linked
        )


@njit(cache=True, nogil=True)
def _cost_fifo(p, base, tail, end, state, s_qty, s_own, s_row, cost, adjusted, linked):
    qty, value, last_value, last_qty = state[p, QTY], state[p, VALUE], state[p, LAST_VALUE], state[p, LAST_QTY]
    adjusted_to, linked_to = state[p, ADJUSTED_AT], state[p, LINKED_AT]
    head = base
    # What is left of the oldest layer; in the columns it is not up to date. 0 and 0: none, or shortages.
    head_qty, head_value = np.int64(0), np.int64(0)
    if head < tail and s_qty[head] > 0:
        head_qty, head_value = s_qty[head], s_own[head]
    i = tail
    while i < end:
        # The usual, in a loop small enough for the registers; what is not leaves it.
        while i < end:
            moved = s_qty[i]
            if moved > 0:
                got = s_own[i]
                if not _is_usual(got, moved, qty, value):
                    break
                qty += moved
                value += got
                cost[i] = got
                last_value, last_qty = got, moved
                if head == tail:
                    head_qty, head_value = moved, got
                s_qty[tail], s_own[tail], s_row[tail] = moved, got, s_row[i]
                tail += 1
                i += 1
                continue
            left = head_qty + moved
            if left > 0:
                taken = muldiv(head_value, -moved, head_qty)
                head_qty = left
                head_value -= taken
                last_value, last_qty = taken, -moved
                if linked is not None:
                    _link(linked_to, s_row[i], s_row[head], -moved, taken, linked)
                    linked_to += 1
            else:
                if qty + moved < 0:
                    break
                taken = head_value
                last_value, last_qty = head_value, head_qty
                if linked is not None:
                    _link(linked_to, s_row[i], s_row[head], head_qty, head_value, linked)
                    linked_to += 1
                head += 1
                while left < 0 and left + s_qty[head] <= 0:
                    taken += s_own[head]
                    left += s_qty[head]
                    last_value, last_qty = s_own[head], s_qty[head]
                    if linked is not None:
                        _link(linked_to, s_row[i], s_row[head], last_qty, last_value, linked)
                        linked_to += 1
                    head += 1
                head_qty, head_value = np.int64(0), np.int64(0)
                if head < tail:
                    head_qty, head_value = s_qty[head], s_own[head]
                    if left < 0:
                        part = muldiv(head_value, -left, head_qty)
                        head_qty += left
                        head_value -= part
                        last_value, last_qty = part, -left
                        taken += part
                        if linked is not None:
                            _link(linked_to, s_row[i], s_row[head], -left, part, linked)
                            linked_to += 1
            qty += moved
            value -= taken
            cost[i] = taken
            i += 1
        if i == end:
            break
        moved = s_qty[i]
        if moved > 0:
            is_fine, got, head, rest, rest_value, qty, value, adjusted_to = _receive_unusually(
                i, head, tail, qty, value, last_value, last_qty, adjusted_to, s_qty, s_own, s_row, adjusted
            )
            cost[i] = got
            last_value, last_qty = got, moved
            if rest > 0:
                if head == tail:
                    head_qty, head_value = rest, rest_value
                s_qty[tail], s_own[tail], s_row[tail] = rest, rest_value, s_row[i]
                tail += 1
        else:
            if head_qty > 0:
                s_qty[head], s_own[head] = head_qty, head_value
                head_qty, head_value = np.int64(0), np.int64(0)
                if linked is not None:
                    for k in range(head, tail):
                        _link(linked_to, s_row[i], s_row[k], s_qty[k], s_own[k], linked)
                        linked_to += 1
                last_value, last_qty = s_own[tail - 1], s_qty[tail - 1]
                head = tail
            is_fine, qty, value = _fall_short(i, tail, qty, value, last_value, last_qty, s_qty, s_own, s_row, cost)
            tail += 1
        if not is_fine:
            state[p, STATUS] = RARE
            return
        i += 1
    if head_qty > 0:
        s_qty[head], s_own[head] = head_qty, head_value
    _keep(p, qty, value, last_value, last_qty, head, tail, adjusted_to, linked_to, state)


@njit(cache=True, nogil=True)
def _cost_lifo(p, base, tail, end, state, s_qty, s_own, s_row, cost, adjusted, linked):
    qty, value, last_value, last_qty = state[p, QTY], state[p, VALUE], state[p, LAST_VALUE], state[p, LAST_QTY]
    adjusted_to, linked_to = state[p, ADJUSTED_AT], state[p, LINKED_AT]
    head = base
    # What is left of the youngest layer; in the columns it is not up to date. 0 and 0: none, or shortages.
    top_qty, top_value = np.int64(0), np.int64(0)
    if head < tail and s_qty[tail - 1] > 0:
        top_qty, top_value = s_qty[tail - 1], s_own[tail - 1]
    i = tail
    while i < end:
        while i < end:
            moved = s_qty[i]
            if moved > 0:
                got = s_own[i]
                if not _is_usual(got, moved, qty, value):
                    break
                if top_qty > 0:
                    s_qty[tail - 1], s_own[tail - 1] = top_qty, top_value
                qty += moved
                value += got
                cost[i] = got
                last_value, last_qty = got, moved
                top_qty, top_value = moved, got
                s_row[tail] = s_row[i]
                tail += 1
                i += 1
                continue
            left = top_qty + moved
            if left > 0:
                taken = muldiv(top_value, -moved, top_qty)
                top_qty = left
                top_value -= taken
                last_value, last_qty = taken, -moved
                if linked is not None:
                    _link(linked_to, s_row[i], s_row[tail - 1], -moved, taken, linked)
                    linked_to += 1
            else:
                if qty + moved < 0:
                    break
                taken = top_value
                last_value, last_qty = top_value, top_qty
                if linked is not None:
                    _link(linked_to, s_row[i], s_row[tail - 1], top_qty, top_value, linked)
                    linked_to += 1
                tail -= 1
                while left < 0 and left + s_qty[tail - 1] <= 0:
                    taken += s_own[tail - 1]
                    left += s_qty[tail - 1]
                    last_value, last_qty = s_own[tail - 1], s_qty[tail - 1]
                    if linked is not None:
                        _link(linked_to, s_row[i], s_row[tail - 1], last_qty, last_value, linked)
                        linked_to += 1
                    tail -= 1
                top_qty, top_value = np.int64(0), np.int64(0)
                if head < tail:
                    top_qty, top_value = s_qty[tail - 1], s_own[tail - 1]
                    if left < 0:
                        part = muldiv(top_value, -left, top_qty)
                        top_qty += left
                        top_value -= part
                        last_value, last_qty = part, -left
                        taken += part
                        if linked is not None:
                            _link(linked_to, s_row[i], s_row[tail - 1], -left, part, linked)
                            linked_to += 1
            qty += moved
            value -= taken
            cost[i] = taken
            i += 1
        if i == end:
            break
        moved = s_qty[i]
        if moved > 0:
            if top_qty > 0:
                s_qty[tail - 1], s_own[tail - 1] = top_qty, top_value
            is_fine, got, head, rest, rest_value, qty, value, adjusted_to = _receive_unusually(
                i, head, tail, qty, value, last_value, last_qty, adjusted_to, s_qty, s_own, s_row, adjusted
            )
            cost[i] = got
            last_value, last_qty = got, moved
            if rest > 0:
                top_qty, top_value = rest, rest_value
                s_row[tail] = s_row[i]
                tail += 1
        else:
            if top_qty > 0:
                s_qty[tail - 1], s_own[tail - 1] = top_qty, top_value
                top_qty, top_value = np.int64(0), np.int64(0)
                if linked is not None:
                    for k in range(tail - 1, head - 1, -1):
                        _link(linked_to, s_row[i], s_row[k], s_qty[k], s_own[k], linked)
                        linked_to += 1
                last_value, last_qty = s_own[head], s_qty[head]
                tail = head
            is_fine, qty, value = _fall_short(i, tail, qty, value, last_value, last_qty, s_qty, s_own, s_row, cost)
            tail += 1
        if not is_fine:
            state[p, STATUS] = RARE
            return
        i += 1
    if top_qty > 0:
        s_qty[tail - 1], s_own[tail - 1] = top_qty, top_value
    _keep(p, qty, value, last_value, last_qty, head, tail, adjusted_to, linked_to, state)


@njit(cache=True, nogil=True)
def _cost_average(p, base, tail, end, state, s_qty, s_own, s_row, cost, adjusted, linked):
    qty, value, last_value, last_qty = state[p, QTY], state[p, VALUE], state[p, LAST_VALUE], state[p, LAST_QTY]
    adjusted_to, linked_to = state[p, ADJUSTED_AT], state[p, LINKED_AT]
    head = base
    made = s_row[base] if tail > base else np.int32(0)  # the row that made the one layer
    i = tail
    if qty > 0:
        head = tail  # the one layer is qty and value; the queue holds shortages only
    while i < end:
        while i < end:
            moved = s_qty[i]
            if moved > 0:
                got = s_own[i]
                if not _is_usual(got, moved, qty, value):
                    break
                if qty == 0:
                    made = s_row[i]
                qty += moved
                value += got
                cost[i] = got
                last_value, last_qty = value, qty
                i += 1
                continue
            left = qty + moved
            if left <= 0:
                if left < 0:
                    break
                taken = value
            else:
                taken = muldiv(value, -moved, qty)
            last_value, last_qty = taken, -moved
            if linked is not None:
                _link(linked_to, s_row[i], made, -moved, taken, linked)
                linked_to += 1
            qty = left
            value -= taken
            cost[i] = taken
            i += 1
        if i == end:
            break
        moved = s_qty[i]
        if moved > 0:
            if qty <= 0:
                made = s_row[i]
            is_fine, got, head, _, _, qty, value, adjusted_to = _receive_unusually(
                i, head, tail, qty, value, last_value, last_qty, adjusted_to, s_qty, s_own, s_row, adjusted
            )
            cost[i] = got
            last_value, last_qty = got, moved
            if qty > 0:
                last_value, last_qty = value, qty
        else:
            if qty > 0:
                last_value, last_qty = value, qty
                if linked is not None:
                    _link(linked_to, s_row[i], made, qty, value, linked)
                    linked_to += 1
            is_fine, qty, value = _fall_short(i, tail, qty, value, last_value, last_qty, s_qty, s_own, s_row, cost)
            tail += 1
        if not is_fine:
            state[p, STATUS] = RARE
            return
        i += 1
    if qty > 0:
        head, tail = base, base + 1
        s_qty[head], s_own[head], s_row[head] = qty, value, made
    _keep(p, qty, value, last_value, last_qty, head, tail, adjusted_to, linked_to, state)


@njit(cache=True, forceinline=True)
def _is_usual(got, moved, qty, value):
    """Whether a receipt has a value of its own, finds nothing to settle, and passes no limit."""
    # Sums that wrap are below 0: what the pool holds is not.
    return got >= 0 and qty >= 0 and 0 <= qty + moved <= QTY_LIMIT and 0 <= value + got <= VALUE_LIMIT


# ── What happens seldom ─────────────────────────────────────────────────────────────────────────────


@njit(cache=True, nogil=True)
def _receive_unusually(
    i, head, tail, qty, value, last_value, last_qty, adjusted_to, s_qty, s_own, s_row, adjusted
):
    """A receipt without a value of its own, or one that settles shortages.

    returns  (True, the value it brings in, the queue's head, what is left of it, value left, the pool's
             quantity and value, up to where adjustments stand); False first when this is not for here
    """
    moved, got = s_qty[i], s_own[i]
    if got == NONE:
        if qty > 0 and value > 0:
            got = muldiv(value, moved, qty)
        elif last_qty > 0:
            got = muldiv(last_value, moved, last_qty)
    if moved > QTY_LIMIT or got < 0 or got > VALUE_LIMIT:
        return False, got, head, moved, got, qty, value, adjusted_to
    # Only then is the queue one of shortages; otherwise what stands in the columns may not be up to date.
    is_short = qty < 0
    qty += moved
    value += got
    rest, rest_value = moved, got
    is_fine = qty <= QTY_LIMIT and value <= VALUE_LIMIT
    while is_short and is_fine and rest > 0 and head < tail:
        short, assumed = -s_qty[head], -s_own[head]
        take = min(short, rest)
        true_cost = rest_value if take == rest else muldiv(rest_value, take, rest)
        released = assumed if take == short else muldiv(assumed, take, short)
        rest -= take
        rest_value -= true_cost
        value += released - true_cost
        is_fine = -VALUE_LIMIT <= value <= VALUE_LIMIT
        adjusted[0][adjusted_to], adjusted[1][adjusted_to] = s_row[i], s_row[head]
        adjusted[2][adjusted_to] = released - true_cost
        adjusted_to += 1
        s_qty[head] += take
        s_own[head] += released
        if take == short:
            head += 1
    return is_fine, got, head, rest, rest_value, qty, value, adjusted_to


@njit(cache=True, nogil=True)
def _fall_short(i, tail, qty, value, last_value, last_qty, s_qty, s_own, s_row, cost):
    """An issue of more than there is takes what there is, and the rest is a shortage at the last known cost.

    returns  (True, the pool's quantity and value); False first when this is not for here
    """
    there, worth = max(qty, 0), max(value, 0) if qty > 0 else 0
    left = qty + s_qty[i]
    if last_qty <= 0 or s_qty[i] < -QTY_LIMIT or left < -QTY_LIMIT:
        return False, qty, value
    need = -s_qty[i] - there
    short = muldiv(last_value, need, last_qty)
    value -= worth + short
    # Half the limit: the other half is for what its settlement may add.
    if short < 0 or worth + short > VALUE_LIMIT // 2 or value < -VALUE_LIMIT:
        return False, qty, value
    cost[i] = worth + short
    s_qty[tail], s_own[tail], s_row[tail] = -need, -short, s_row[i]
    return True, left, value


@njit(cache=True, nogil=True)
def _changed_much(change, start, count):
    """Whether settlements could have brought any issue's cost near the limit: all of them together, at most."""
    total = 0.0
    for k in range(start, start + count):
        total += abs(float(change[k]))
    return total > VALUE_LIMIT // 2


@njit(cache=True, nogil=True)
def _link(at, issue, layer, qty, value, linked):
    linked[0][at], linked[1][at] = issue, layer
    linked[2][at], linked[3][at] = qty, value


@njit(cache=True, nogil=True)
def _keep(p, qty, value, last_value, last_qty, head, tail, adjusted_to, linked_to, state):
    state[p, QTY], state[p, VALUE] = qty, value
    state[p, LAST_VALUE], state[p, LAST_QTY] = last_value, last_qty
    state[p, HEAD], state[p, TAIL] = head, tail
    state[p, ADJUSTED] = adjusted_to - state[p, ADJUSTED_AT]
    state[p, LINKED] = linked_to - state[p, LINKED_AT]
