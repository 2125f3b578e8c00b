"""What is kept of one tag, in order of time, however its reads came."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from edge.recognition.columns import Reads, antenna_codes, pack
from edge.recognition.gate import US
from edge.recognition.track import Track
from tests.walks import EPC, GATE, T0_US

CODES = antenna_codes(GATE.inside, GATE.outside)
MOST = 8

came = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([1, 2]), st.sampled_from([-60.0, -61.0])), max_size=30
)


def track_of(reads: list[tuple[int, int, float]]) -> tuple[Track, list[tuple[int, int]]]:
    """A track of (tenths of a second, antenna, dBm), and its rows as they came."""
    track = Track(EPC)
    rows = [(T0_US + at * US // 10, pack(CODES[antenna], dbm, None, None)) for at, antenna, dbm in reads]
    for at_us, signal in rows:
        track.add(at_us, signal, GATE)
    return track, rows


def rows_of(reads: Reads) -> list[tuple[int, int]]:
    return list(zip(reads.times_us.tolist(), reads.signals.tolist(), strict=True))


@given(came)
def test_all_reads_stand_in_order_and_once_however_they_came(reads: list[tuple[int, int, float]]) -> None:
    track, rows = track_of(reads)

    assert rows_of(track.all_reads()) == sorted(set(rows))


@given(came, st.integers(0, 40))
def test_reads_in_order_are_put_to_the_crowd_s_columns_newest_only(
    reads: list[tuple[int, int, float]], since: int
) -> None:
    by_time = {at: (at, antenna, dbm) for at, antenna, dbm in reads}
    track, rows = track_of([by_time[at] for at in sorted(by_time)])
    times_us, signals = array("q", [1]), array("q", [2])
    since_us = T0_US + since * US // 10

    many = track.put_newest(MOST, since_us, times_us, signals)

    put = list(zip(times_us.tolist(), signals.tolist(), strict=True))
    assert put == [(1, 2), *(row for row in rows[-MOST:] if row[0] >= since_us)]
    assert many == len(put) - 1


@given(came, st.integers(0, 40))
def test_reads_out_of_order_are_put_to_the_crowd_s_columns_in_order(
    reads: list[tuple[int, int, float]], since: int
) -> None:
    track, _ = track_of(reads)
    times_us, signals = array("q"), array("q")
    since_us = T0_US + since * US // 10

    many = track.put_newest(len(reads) + 1, since_us, times_us, signals)

    put = list(zip(times_us.tolist(), signals.tolist(), strict=True))
    assert put == [row for row in rows_of(track.all_reads()) if row[0] >= since_us]
    assert many == len(put)
