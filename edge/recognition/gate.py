"""The gate as recognition sees it: which antenna faces which side, and every limit with unit and reason.

Where the values come from. "recipe": the project's study of 1,030 recorded passes of 12 tags on a carrier
(45 reads a pass). "shuttle runs": the recorded runs in which 100 tags go to and fro past 75 standing ones
(3 to 7 reads a pass). "simulator": firmware_bridges/gate_simulator. No training is needed to start; a
gate's own values stand in its gate.toml (gate_file.py), and `tallygate gate fit` may find them.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

US = 1_000_000  # microseconds in a second
MOST_ANTENNA = 32_767  # LLRP numbers antennas with 16 bits; a read is kept with 15 of them


class WrongGate(ValueError):
    """The gate's settings contradict themselves."""


def _limit(default: Any, unit: str, why: str) -> Any:
    return dataclasses.field(default=default, metadata={"unit": unit, "why": why})


@dataclass(frozen=True, slots=True)
class GateSettings:
    """One gate.

    name      the gate's code, as movements carry it
    inside    antenna numbers (1-based) that face the warehouse
    outside   antenna numbers that face the yard; several antennas of one side are one side

    Every other field is a limit or a wiring; its metadata holds its unit and its reason. Raises WrongGate.
    """

    name: str
    inside: frozenset[int]
    outside: frozenset[int]

    eye_door: int | None = _limit(
        None, "GPI port", "photo-eye across the door: something passes while it is broken"
    )
    eye_outside: int | None = _limit(
        None, "GPI port", "photo-eye before the door; with the one behind it, it tells the direction"
    )
    eye_inside: int | None = _limit(None, "GPI port", "photo-eye behind the door")

    hold_s: float = _limit(
        3.0,
        "s",
        "the gap: silence on both sides that ends a visit. Recipe: 0.9 s cut one pass of a shuttle run into "
        "several visits, 3 s came nearest to the true number",
    )
    longest_visit_s: float = _limit(
        20.0, "s", "longest window judged as one piece. Recipe: passes take 12 s at most, turn-backs up to 18 s"
    )
    reorder_s: float = _limit(
        0.1,
        "s",
        "how far reads may arrive out of order without any effect; readers that sum up a round of one "
        "antenna need it. It is part of the 250 ms that a verdict may take after the gap",
    )
    replay_s: float = _limit(
        60.0,
        "s",
        "reads older than reorder_s are a replay of a reader that was cut off; within this span decided "
        "visits are remembered and not decided again. A replay covers 10 s; six times that",
    )
    linger_s: float = _limit(
        120.0,
        "s",
        "how long a tag seen from one side only must be away before it is told again. In the shuttle runs "
        "75 tags beside the gate made a visit every minute each; set above that",
    )
    remember_s: float = _limit(
        3600.0,
        "s",
        "how long a tag is remembered after its last visit: how often it stayed says how much it takes to believe "
        "that it moved. Tags at the edge of the field are read every few minutes",
    )
    smoothing_s: float = _limit(
        0.3, "s", "width of the Gaussian mean that smooths RSSI into an envelope. Recipe, step 3"
    )

    fewest_reads: int = _limit(
        6, "reads", "fewer decide nothing by themselves. Recipe, step 2: 6 reads decide 6 % of crossings right"
    )
    stayed_rise_db: float = _limit(
        3.0, "dB", "both sides' rise below this: the tag stayed. Noise of resident tags is 0.3 to 1.5 dB"
    )
    order_unclear: float = _limit(
        0.70, "", "clarity of order max(U, 1 − U) below this: no crossing. Recipe, step 5"
    )
    order_sure: float = _limit(0.80, "", "clarity of order from here on: a sure one. Recipe, step 6")
    ends_share: float = _limit(
        0.6,
        "",
        "share of the received amplitude, of the first fifth of reads on the side it came from and of the last "
        "fifth on the other. Simulator: keeps 98 % of crossings and a quarter of what turned back or waited in "
        "the gate and looked like one",
    )
    near_rise_db: float = _limit(2.0, "dB", "weaker side's rise below this: it went near the gate. Recipe, step 6")
    through_rise_db: float = _limit(4.0, "dB", "weaker side's rise from here on: it went through. Recipe, step 6")

    still_phase: float = _limit(
        0.9,
        "",
        "concentration of the phases around the crossing from here on: the tag did not move, whatever its RSSI "
        "did. A move of 2 cm spreads phases that far; noise of readers is 0.99",
    )
    still_reads: int = _limit(
        5, "reads", "with phase, beyond the first of each antenna and channel, before stillness is believed"
    )

    rest_s: float = _limit(
        30.0,
        "s",
        "a tag that was here for so long rests: it moves only with its neighbours or beyond doubt. Longer than "
        "a pass and a turn-back, shorter than goods are put down for",
    )

    group_within_s: float = _limit(
        1.5, "s", "tags that cross within this of each other go together. Recipe, step 7"
    )
    group_fewest: int = _limit(2, "tags", "that must be sure by themselves before others follow. Recipe, step 7")
    group_share: float = _limit(0.5, "", "share of the moving tags that must be sure and agree. Recipe, step 7")
    group_contrary: float = _limit(0.34, "", "contrary tags per agreeing one from which nobody follows. Step 7")
    group_order: float = _limit(0.60, "", "clarity of order with which a tag follows its group. Recipe, step 7")

    anchor_fewest: int = _limit(
        5, "tags", "that must change sides together before the instant they do it decides about sparse reads"
    )
    anchor_share: float = _limit(
        0.12, "", "of the tags seen from both sides then, at least this share must change sides. Recipe, step 8"
    )
    anchor_flicker: float = _limit(
        3.0,
        "",
        "times the usual number of tags that change sides by chance: as many must change sides together. "
        "Simulator: a thousand parked tags, each read once in some seconds, change by fives",
    )
    anchor_before_s: float = _limit(5.0, "s", "how far before the common instant reads count. Shuttle runs")
    anchor_after_s: float = _limit(4.0, "s", "how far after it. Shuttle runs: 3 s finds 1 % less, 6 s no more")
    anchor_spread_s: float = _limit(0.6, "s", "how far from the common instant single tags cross. Shuttle runs")
    anchor_stray: float = _limit(0.05, "", "share of a moving tag's reads that come by the wrong side. Recipe")
    anchor_nats: float = _limit(
        1.0,
        "nats",
        "log-odds from which a tag crossed with the others. Shuttle runs: at 1, 81 % of crossings are right and "
        "0.2 % of standing tags wrong; at 2, 76 % and 0.14 %",
    )
    dense_reads: int = _limit(
        24, "reads", "in one visit from which a tag's own course is believed before the anchor. Recipe: the aim"
    )

    eye_within_s: float = _limit(
        2.0, "s", "how far from a tag's crossing the photo-eye may be broken: a pallet is up to 2 s long"
    )

    most_reads: int = _limit(
        1024, "reads", "kept of one visit; beyond it they are thinned evenly. Verdicts stop improving at 45"
    )
    most_tags: int = _limit(
        120_000, "tags", "known at once, those remembered included: bounds memory. A full truck has 2,000"
    )

    def __post_init__(self) -> None:
        if not self.inside or not self.outside:
            raise WrongGate(
                f"gate {self.name!r}: expected antennas on both sides, "
                f"got inside {sorted(self.inside)} and outside {sorted(self.outside)}"
            )
        if both := self.inside & self.outside:
            raise WrongGate(f"gate {self.name!r}: antennas {sorted(both)} stand on both sides")
        if strange := sorted(a for a in self.inside | self.outside if not 1 <= a <= MOST_ANTENNA):
            raise WrongGate(f"gate {self.name!r}: expected antennas 1 … {MOST_ANTENNA}, got {strange[0]}")
        if not 0 < self.hold_s < self.longest_visit_s:
            raise WrongGate(
                f"gate {self.name!r}: expected 0 < hold_s < longest_visit_s, "
                f"got {self.hold_s} and {self.longest_visit_s}"
            )
        if not 0 <= self.reorder_s < self.hold_s:
            raise WrongGate(
                f"gate {self.name!r}: expected 0 ≤ reorder_s < hold_s, got {self.reorder_s} and {self.hold_s}"
            )
        if self.most_reads < 2 * self.fewest_reads or self.most_tags < 1 or self.smoothing_s <= 0:
            raise WrongGate(
                f"gate {self.name!r}: expected most_reads ≥ {2 * self.fewest_reads}, most_tags ≥ 1 and "
                f"smoothing_s > 0, got {self.most_reads}, {self.most_tags} and {self.smoothing_s}"
            )
        if not 0.5 <= self.order_unclear <= self.order_sure <= 1:
            raise WrongGate(
                f"gate {self.name!r}: expected 0.5 ≤ order_unclear ≤ order_sure ≤ 1, "
                f"got {self.order_unclear} and {self.order_sure}"
            )
        if not 0.5 <= self.ends_share <= 1:
            raise WrongGate(f"gate {self.name!r}: expected 0.5 ≤ ends_share ≤ 1, got {self.ends_share}")
        if (self.eye_outside is None) != (self.eye_inside is None):
            raise WrongGate(
                f"gate {self.name!r}: expected both eye_outside and eye_inside or neither, "
                f"got {self.eye_outside} and {self.eye_inside}"
            )
        ports = [port for port in (self.eye_door, self.eye_outside, self.eye_inside) if port is not None]
        if len(set(ports)) < len(ports):
            raise WrongGate(f"gate {self.name!r}: expected a port of its own for each photo-eye, got {ports}")

    @property
    def eyes(self) -> frozenset[int]:
        """The GPI ports that photo-eyes are wired to."""
        ports = (self.eye_door, self.eye_outside, self.eye_inside)
        return frozenset(port for port in ports if port is not None)

    @property
    def hold_us(self) -> int:
        return round(self.hold_s * US)

    @property
    def longest_visit_us(self) -> int:
        return round(self.longest_visit_s * US)

    @property
    def reorder_us(self) -> int:
        return round(self.reorder_s * US)

    @property
    def replay_us(self) -> int:
        return round(self.replay_s * US)

    @property
    def linger_us(self) -> int:
        return round(self.linger_s * US)
