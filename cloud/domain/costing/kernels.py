"""Costing a batch in one compiled pass: int64 arrays only, nothing that knows of names or dates.

A movement takes goods from a source pool, puts them into a destination pool, or both. Every pool is a
queue of layers. A FIFO pool gets a layer for each receipt; a moving-average pool keeps one layer that
receipts merge into. Layers with negative quantity are shortages: issues that found nothing to take, costed
at the last known cost and settled by the next receipts, oldest first, each with an adjusting entry. A pool's
layers are all positive or all shortages. A layer holds the value left, not a unit price, so the last piece
takes the remainder and an empty pool is worth exactly zero.

One row of the entry arrays is one cost entry. Steps of a movement: 0 its issue, 1 its receipt, 2 … the
adjustments that its receipt caused.
"""

import numpy as np
from numba import njit

from cloud.domain.rounding import muldiv, to_minor

MOVING_AVERAGE = 1
FIFO = 2

NONE = -1
VALUE_LIMIT = 2**61  # a pool's or layer's value; sums of two stay inside int64
QTY_LIMIT = 2**61  # a pool's quantity: 256 movements of the most that one may have

FINE = 0
OVERFLOWED = 1
ENTRIES_FULL = 2
LINKS_FULL = 3


@njit(cache=True)
def _last_cost(pool, qty, p_item, p_last_value, p_last_qty, i_last_value, i_last_qty):
    """What `qty` would cost at the last known cost of the pool, else of the item: (value, known)."""
    if p_last_qty[pool] > 0:
        return muldiv(p_last_value[pool], qty, p_last_qty[pool]), True
    item = p_item[pool]
    if i_last_qty[item] > 0:
        return muldiv(i_last_value[item], qty, i_last_qty[item]), True
    return 0, False


@njit(cache=True)
def _append(pool, layer, p_head, p_tail, l_next):
    """Hang `layer` behind the pool's youngest."""
    l_next[layer] = NONE
    if p_head[pool] == NONE:
        p_head[pool] = layer
    else:
        l_next[p_tail[pool]] = layer
    p_tail[pool] = layer


@njit(cache=True)
def cost_batch(
    m_src, m_dst, m_qty, m_own,
    p_item, p_method, p_unit, p_qty, p_value, p_last_value, p_last_qty, p_head, p_tail, p_next_no,
    i_last_value, i_last_qty,
    l_qty, l_value, l_uncosted, l_next, l_no, l_pool, l_move, l_step, n_layers,
    e_move, e_step, e_pool, e_qty, e_value, e_posted, e_layer,
    k_entry, k_layer, k_qty, k_value,
    m_uncosted,
):  # fmt: skip
    """Cost n movements in the order given, changing pools, items' last costs and layers in place.

    m_src, m_dst   int64[n], local pool or NONE; a movement inside one pool must not be here
    m_qty          int64[n], 1 … QTY_MAX (10⁻⁶ stock units)
    m_own          int64[n], the receipt's own value (10⁻⁶ currency) or NONE: the issue's, else the last known
    p_*            int64[P]: item (local), method, minor unit, quantity, value, last known cost as
                   last_value for last_qty, oldest and youngest layer, next layer number
    i_last_*       int64[I]: the items' last known cost
    l_*            int64[C], the first n_layers filled; C ≥ n_layers + 2 n. l_uncosted bool[C]. l_move,
                   l_step: the movement and step that made a new layer
    e_*, k_*       outputs: cost entries and consumption links. e_layer: the layer an adjustment corrects
    m_uncosted     bool[n], output: no cost was known
    returns        (status, movement, layers, entries, links); on OVERFLOWED `movement` is the culprit and
                   the arrays are spoilt; on ENTRIES_FULL or LINKS_FULL the outputs were too small
    """
    n_entries = 0
    n_links = 0
    # How many layers of each pool have goods without a cost; the first cost finds them wherever they stand.
    p_waiting = np.zeros(len(p_item), np.int64)
    for layer in range(n_layers):
        if l_uncosted[layer] and l_qty[layer] > 0:
            p_waiting[l_pool[layer]] += 1
    for m in range(len(m_qty)):
        moved_value = np.int64(0)
        if n_entries + 2 >= len(e_move):
            return ENTRIES_FULL, m, n_layers, n_entries, n_links

        src = m_src[m]
        if src != NONE:
            before = p_value[src]
            need = m_qty[m]
            entry = n_entries
            while need > 0 and p_head[src] != NONE and l_qty[p_head[src]] > 0:
                layer = p_head[src]
                if n_links >= len(k_entry):
                    return LINKS_FULL, m, n_layers, n_entries, n_links
                if need >= l_qty[layer]:
                    take, value = l_qty[layer], l_value[layer]
                    p_head[src] = l_next[layer]
                    if l_uncosted[layer]:
                        p_waiting[src] -= 1
                else:
                    take = need
                    value = muldiv(l_value[layer], take, l_qty[layer])
                if l_uncosted[layer]:
                    m_uncosted[m] = True
                l_qty[layer] -= take
                l_value[layer] -= value
                p_last_value[src], p_last_qty[src] = value, take
                if l_uncosted[layer]:
                    p_last_value[src], p_last_qty[src] = 0, 0
                k_entry[n_links], k_layer[n_links] = entry, layer
                k_qty[n_links], k_value[n_links] = take, value
                n_links += 1
                need -= take
                moved_value += value
            if need > 0:
                short, found = _last_cost(src, need, p_item, p_last_value, p_last_qty, i_last_value, i_last_qty)
                if short < 0 or short > VALUE_LIMIT:
                    return OVERFLOWED, m, n_layers, n_entries, n_links
                if not found:
                    m_uncosted[m] = True
                layer = n_layers
                n_layers += 1
                l_qty[layer], l_value[layer], l_uncosted[layer] = -need, -short, not found
                l_no[layer], l_pool[layer], l_move[layer], l_step[layer] = p_next_no[src], src, m, 0
                p_next_no[src] += 1
                _append(src, layer, p_head, p_tail, l_next)
                moved_value += short
            p_qty[src] -= m_qty[m]
            p_value[src] -= moved_value
            if p_value[src] < -VALUE_LIMIT or p_qty[src] < -QTY_LIMIT:
                return OVERFLOWED, m, n_layers, n_entries, n_links
            e_move[entry], e_step[entry], e_pool[entry], e_layer[entry] = m, 0, src, NONE
            e_qty[entry], e_value[entry] = -m_qty[m], -moved_value
            e_posted[entry] = to_minor(p_value[src], p_unit[src]) - to_minor(before, p_unit[src])
            n_entries += 1

        dst = m_dst[m]
        if dst == NONE:
            continue
        value, known = m_own[m], True
        if value == NONE:
            if src != NONE:
                value, known = moved_value, moved_value > 0 or not m_uncosted[m]
            else:
                value, known = _known_value(
                    dst, m_qty[m], p_qty, p_value, p_item, p_last_value, p_last_qty, i_last_value, i_last_qty
                )
        if value < 0 or value > VALUE_LIMIT:
            return OVERFLOWED, m, n_layers, n_entries, n_links
        if not known:
            m_uncosted[m] = True
        before = p_value[dst]
        p_qty[dst] += m_qty[m]
        p_value[dst] += value
        if p_value[dst] > VALUE_LIMIT or p_qty[dst] > QTY_LIMIT:
            return OVERFLOWED, m, n_layers, n_entries, n_links
        e_move[n_entries], e_step[n_entries], e_pool[n_entries], e_layer[n_entries] = m, 1, dst, NONE
        e_qty[n_entries], e_value[n_entries] = m_qty[m], value
        e_posted[n_entries] = to_minor(p_value[dst], p_unit[dst]) - to_minor(before, p_unit[dst])
        n_entries += 1

        # What the receipt settles, before it becomes a layer: shortages, and goods that had no cost.
        rest, rest_value, step = m_qty[m], value, 2
        layer = p_head[dst]
        while layer != NONE and rest > 0 and (l_qty[layer] < 0 or (known and p_waiting[dst] > 0)):
            if l_qty[layer] > 0 and not l_uncosted[layer]:
                layer = l_next[layer]
                continue
            if n_entries >= len(e_move):
                return ENTRIES_FULL, m, n_layers, n_entries, n_links
            following = l_next[layer]
            if l_qty[layer] < 0:
                short = -l_qty[layer]
                take = min(short, rest)
                true_cost = rest_value if take == rest else muldiv(rest_value, take, rest)
                released = -l_value[layer] if take == short else muldiv(-l_value[layer], take, short)
                change = released - true_cost
                l_qty[layer] += take
                l_value[layer] += released
                rest -= take
                rest_value -= true_cost
                if l_qty[layer] == 0:
                    p_head[dst] = following
            else:
                change = muldiv(value, l_qty[layer], m_qty[m])
                if change < 0 or change > VALUE_LIMIT:
                    return OVERFLOWED, m, n_layers, n_entries, n_links
                l_value[layer] += change
                l_uncosted[layer] = False
                p_waiting[dst] -= 1
            before = p_value[dst]
            p_value[dst] += change
            if abs(p_value[dst]) > VALUE_LIMIT:
                return OVERFLOWED, m, n_layers, n_entries, n_links
            e_move[n_entries], e_step[n_entries], e_pool[n_entries], e_layer[n_entries] = m, step, dst, layer
            e_qty[n_entries], e_value[n_entries] = 0, change
            e_posted[n_entries] = to_minor(p_value[dst], p_unit[dst]) - to_minor(before, p_unit[dst])
            n_entries += 1
            step += 1
            layer = following

        if rest > 0:
            head = p_head[dst]
            if p_method[dst] == MOVING_AVERAGE and head != NONE:
                l_qty[head] += rest
                l_value[head] += rest_value
                l_uncosted[head] = l_uncosted[head] and not known
            else:
                layer = n_layers
                n_layers += 1
                l_qty[layer], l_value[layer], l_uncosted[layer] = rest, rest_value, not known
                l_no[layer], l_pool[layer], l_move[layer], l_step[layer] = p_next_no[dst], dst, m, 1
                if not known:
                    p_waiting[dst] += 1
                p_next_no[dst] += 1
                _append(dst, layer, p_head, p_tail, l_next)
        if known:
            if p_method[dst] == MOVING_AVERAGE and p_qty[dst] > 0:
                p_last_value[dst], p_last_qty[dst] = p_value[dst], p_qty[dst]
            else:
                p_last_value[dst], p_last_qty[dst] = value, m_qty[m]
            if m_own[m] != NONE:
                i_last_value[p_item[dst]], i_last_qty[p_item[dst]] = value, m_qty[m]
    return FINE, len(m_qty), n_layers, n_entries, n_links


@njit(cache=True)
def _known_value(pool, qty, p_qty, p_value, p_item, p_last_value, p_last_qty, i_last_value, i_last_qty):
    """The value of a receipt without a cost of its own: the pool's current average, else the last known."""
    if p_qty[pool] > 0 and p_value[pool] > 0:
        return muldiv(p_value[pool], qty, p_qty[pool]), True
    return _last_cost(pool, qty, p_item, p_last_value, p_last_qty, i_last_value, i_last_qty)
