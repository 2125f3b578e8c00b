"""The gate as recognition sees it: which antenna faces which side, and every limit with its reason.

Sources: "recipe" is the project's study of recorded gates (1,030 passes with 45 reads each, and dense
shuttle runs with 3 to 7 reads a pass). The values are defaults to start from; a later gate may tune them.
"""

from dataclasses import dataclass

US = 1_000_000  # microseconds in a second


class WrongGate(ValueError):
    """The gate's settings contradict themselves."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """One gate.

    name      the gate's code, as movements carry it
    inside    antenna numbers (1-based) that face the warehouse
    outside   antenna numbers that face the yard; several antennas of one side are one side
    """

    name: str
    inside: frozenset[int]
    outside: frozenset[int]

    # Silence on both sides that ends a visit. Recipe: 0.9 s cut one pass of a shuttle run into several
    # visits, 3 s came nearest to the true number of passes.
    hold_s: float = 3.0

    # Longest window judged as one piece. Recipe: passes take 12 s at most, turn-backs up to 18 s.
    longest_visit_s: float = 20.0

    # How far reads may arrive out of order without any effect. We have readers report each sighting alone,
    # which comes in order; a tenth of a second covers those that sum up a round of one antenna. It is part
    # of the 250 ms that a verdict may take after the hold.
    reorder_s: float = 0.1

    # Reads older than `reorder_s` are a replay (a reader that buffered them through a cut). Within this
    # span decided visits are remembered, so that a replay does not decide them again; beyond it the
    # reader's clock was set back and its reads are new. A replay covers 10 s; six times that.
    replay_s: float = 60.0

    # How long a tag seen from one side only must be away before it is reported again. In the shuttle runs
    # 75 tags beside the gate made a visit every minute each, nearly all from one side; set above that.
    linger_s: float = 120.0

    # Width h of the Gaussian mean that smooths RSSI into an envelope. Recipe, step 3.
    smoothing_s: float = 0.3

    # Fewer reads than this decide nothing. Recipe, step 2: at 6 reads 6 % of crossings are decided right.
    fewest_reads: int = 6

    # Both sides' rise below this: the tag stayed. Recipe, step 4: noise of resident tags is 0.3 to 1.5 dB.
    stayed_rise_db: float = 3.0

    # Clarity of order max(U, 1 − U): below the first no crossing, from the second on a sure one. Steps 5, 6.
    order_unclear: float = 0.70
    order_sure: float = 0.80

    # Rise of the weaker side: below the first it went near the gate, from the second on through it. Step 6.
    near_rise_db: float = 2.0
    through_rise_db: float = 4.0

    # Reads of one visit kept for judging; beyond it reads are thinned evenly and counted. Verdicts stop
    # improving at 45 reads; 1,024 keeps the smoothing of one visit near 10 ms.
    most_reads: int = 1024

    # Tags in view at once. 20,000 is ten times a full truck of item-level tags; bounds memory with the above.
    most_tags: int = 20_000

    def __post_init__(self) -> None:
        if not self.inside or not self.outside:
            raise WrongGate(
                f"gate {self.name!r}: expected antennas on both sides, "
                f"got inside {sorted(self.inside)} and outside {sorted(self.outside)}"
            )
        if both := self.inside & self.outside:
            raise WrongGate(f"gate {self.name!r}: antennas {sorted(both)} stand on both sides")
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
