"""Made-up reads of a gate: a tag that goes through, one that turns back, one that stands; as values and as CSV.

Antennas 1 and 2 face inside, 3 and 4 outside. A tag's RSSI is a bell in time on each antenna, as of somebody who walks
past it; one that stands gives the same RSSI again and again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import exp

from edge.readings import TagRead
from edge.recognition.gate import US

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON_US = 1_790_000_000 * US
GATE_TOML = '[gate]\nname = "dock-1"\n[gate.antennas]\ninside = [1, 2]\noutside = [3, 4]\n'
EVERY_S = 0.05  # between two reads of one tag


def epc(number: int) -> str:
    """The EPC of a made-up tag."""
    return f"E2801160{number:016X}"


def bell(at_s: float, peak_s: float) -> float:
    """RSSI in half decibels: -45 at the peak, -75 far from it."""
    return round(2 * (-75 + 30 * exp(-(((at_s - peak_s) / 0.8) ** 2)))) / 2


def crossing(tag: int, start_us: int, *, is_out: bool = False) -> list[TagRead]:
    """Goes through in 4 s: 80 reads, by the first side until 2.2 s, by the second from 1.8 s on."""
    first, second = ((1, 2), (3, 4)) if is_out else ((3, 4), (1, 2))
    reads = []
    for number in range(80):
        at_s = number * EVERY_S
        is_first = at_s < 1.8 or (at_s < 2.2 and number % 2 == 0)
        antennas, peak_s = (first, 1.2) if is_first else (second, 2.8)
        reads.append(TagRead(epc(tag), antennas[number // 2 % 2], bell(at_s, peak_s), start_us + round(at_s * US)))
    return reads


def turning_back(tag: int, start_us: int) -> list[TagRead]:
    """Comes near from outside, is seen by the inner antennas for a moment, and leaves: 80 reads in 4 s."""
    reads = []
    for number in range(80):
        at_s = number * EVERY_S
        is_inner = 1.8 <= at_s <= 2.2 and number % 2 == 0
        antennas = (1, 2) if is_inner else (3, 4)
        rssi = bell(at_s, 2.0) - (6 if is_inner else 0)
        reads.append(TagRead(epc(tag), antennas[number // 2 % 2], rssi, start_us + round(at_s * US)))
    return reads


def standing(tag: int, start_us: int, seconds: float) -> list[TagRead]:
    """Stands outside: a read every second, by one antenna, with the same RSSI but for half a decibel."""
    return [
        TagRead(epc(tag), 3, -60.0 + 0.5 * (second % 2), start_us + second * US)
        for second in range(round(seconds))
    ]


def iso(time_us: int) -> str:
    """As recordings write times, in UTC."""
    return (EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds")


def csv_text(reads: Iterable[TagRead]) -> str:
    """A generic CSV, in the order of time."""
    rows = sorted(reads, key=lambda read: read.seen_at_us)
    lines = [f"{iso(read.seen_at_us)},{read.epc},{read.antenna},{read.rssi_dbm}" for read in rows]
    return "\n".join(["time,epc,antenna,rssi_dbm", *lines]) + "\n"


def emse_text(reads: Iterable[TagRead]) -> str:
    """The same as emse: decimal comma, seven digits of the second's fraction, empty TID, phase and Doppler."""
    rows = sorted(reads, key=lambda read: read.seen_at_us)
    head = (
        "// 06/01/2026 16:25:36\n"
        "// ReaderName=192.0.2.1, AntennaIDs=1,2,3,4, InventoryMode=SingleTarget, PowerInDbm=30, Session=1\n"
        "// Timestamp, EPC, TID, Antenna, RSSI, Frequency, Hostname, PhaseAngle, DopplerFrequency\n"
    )
    return head + "".join(
        f"{iso(read.seen_at_us).replace('+00:00', '9+00:00')};{read.epc};;{read.antenna};"
        f"{str(read.rssi_dbm).replace('.', ',')};865,7;192.0.2.1;;\n"
        for read in rows
    )
