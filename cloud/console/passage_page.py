"""What the page of one passage says: the passage explained → texts, in one language and the company's time zone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from cloud.console.rssi_chart import Chart, draw, seconds
from cloud.domain.access import Company
from cloud.domain.decimals import micro_text
from cloud.domain.gate_evidence import AntennaSeen, EyeBroken, GateEvidence
from cloud.domain.gate_words import decided_by_words, reason_sentence
from cloud.domain.moments import moment_or_none
from cloud.domain.movement import Crossing, Kind, Outcome
from cloud.flows.explain_passage import ExplainedPassage, SeenPassage
from cloud.store.feeds import MovementRow, PassageRow

DASH = "–"  # what is not known


@dataclass(frozen=True, slots=True)
class Side:
    """A row of the table of sides."""

    side: str
    reads: str
    rise: str
    peak: str


@dataclass(frozen=True, slots=True)
class Antenna:
    """A row of the table of antennas; `course` is the drawing's line as (seconds, dBm)."""

    antenna: int
    side: str
    reads: str
    seen: str
    peak: str
    rise: str
    still: str
    course: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The group's vote, counted; silent: moved, and crossed neither way."""

    direction: str
    agreeing: int
    contrary: int
    silent: int
    moving: int
    after: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement that came of it, with its vouchers."""

    id: str
    kind: str
    quantity: str
    item: str
    way: str
    document: str
    is_correction: bool
    vouchers: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting of the same crossing, this one included."""

    id: str
    gate: str
    direction: str
    confidence: str
    at: str
    wins: bool
    is_this: bool


@dataclass(frozen=True, slots=True)
class PassagePage:
    """Everything on the page; names of directions, sides, outcomes and kinds are keys of the catalogue."""

    id: str
    direction: str
    confidence: str
    gate: str
    inside: str
    outside: str
    epc: str
    item: str
    outcome: str
    effect: str
    first: str
    last: str
    crossed: str
    recorded: str
    reads: str
    order: float | None
    decided_after: str
    decided_by: str
    reason: str
    gateway: str
    chart: Chart | None
    sides: list[Side]
    antennas: list[Antenna]
    group: Group | None
    moved: list[Moved]
    sightings: list[Sighting]
    raw: str


def show(found: ExplainedPassage, company: Company, language: str, words: Mapping[str, str]) -> PassagePage:
    """The page's values. words: the catalogue's texts."""
    row, evidence = found.passage, found.evidence
    clock = _clock(company)
    # The cloud may have corrected the gateway's clock; its evidence is shown as corrected with it.
    off_us = row.occurred_us - row.claimed_us

    def moment(us: int | None) -> str:
        return DASH if us is None else clock(us + off_us)

    sides = found.sides
    return PassagePage(
        id=str(row.movement_id),
        direction=_name(Crossing(row.direction)),
        confidence=_percent(row.confidence),
        gate=row.gate or "?",
        inside=sides.inside_name if sides else "?",
        outside=sides.outside_name if sides else "?",
        epc=row.epc,
        item=_item(row, language),
        outcome=_name(Outcome(row.outcome)),
        effect=effect_of(found),
        first=moment(evidence.first_seen_us),
        last=moment(evidence.last_seen_us),
        crossed=clock(row.occurred_us),
        recorded=row.recorded_at.astimezone(ZoneInfo(company.time_zone)).strftime("%Y-%m-%d %H:%M:%S"),
        reads=_or_dash(evidence.reads),
        order=evidence.order,
        decided_after=DASH if evidence.decided_after_ms is None else f"{evidence.decided_after_ms} ms",
        decided_by="" if evidence.decided_by is None else decided_by_words(evidence.decided_by, language),
        reason="" if evidence.reason is None else reason_sentence(evidence.reason, language),
        gateway=f"{row.gateway_site}/{row.gateway}",
        chart=draw(
            evidence,
            row.claimed_us,
            lambda one: _drawn_name(one, words),
            lambda text: words["why.crossed_after"].format(seconds=text),
        ),
        sides=[
            Side(one.side, _or_dash(one.reads), _db(one.rise_db), moment(one.peak_us)) for one in evidence.sides
        ],
        antennas=[_antenna(evidence, one) for one in evidence.antennas],
        group=_group(evidence),
        moved=[_moved(movement, found, language) for movement in found.movements],
        sightings=[
            _sighting(one, one is found.seen, clock) for one in _in_time([found.seen, *found.same_crossing])
        ],
        raw=json.dumps(row.evidence, ensure_ascii=False, indent=1),
    )


def effect_of(found: ExplainedPassage) -> str:
    """What the passage did to the books as they stand now: a key of the catalogue behind `why.effect.`."""
    outcome = Outcome(found.passage.outcome)
    if outcome in (Outcome.TURNED_BACK, Outcome.UNDECIDED):
        return _name(outcome)
    if found.seen.moves:
        return "moved" if outcome is Outcome.MOVED else "moved_later"
    if found.is_undone:
        return "undone"
    if outcome is Outcome.UNREGISTERED:
        return "unregistered"
    return "already_there" if found.seen.wins else "same_crossing"


def _drawn_name(one: AntennaSeen | EyeBroken, words: Mapping[str, str]) -> str:
    if isinstance(one, AntennaSeen):
        return f"{words[f'why.side.{one.side}']} {one.antenna}"
    return words["why.eye"].format(eye=words.get(f"why.eye.{one.eye}", one.eye))


def _clock(company: Company) -> Callable[[int], str]:
    zone = ZoneInfo(company.time_zone)

    def clock(us: int) -> str:
        moment = moment_or_none(us)
        return DASH if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

    return clock


def _antenna(evidence: GateEvidence, one: AntennaSeen) -> Antenna:
    def after(us: int | None) -> str:
        if us is None or evidence.first_seen_us is None:
            return DASH
        return seconds((us - evidence.first_seen_us) / 1000)

    return Antenna(
        antenna=one.antenna,
        side=one.side,
        reads=_or_dash(one.reads),
        seen=f"{after(one.first_us)} … {after(one.last_us)} s",
        peak=f"{after(one.peak_us)} s · {_dbm(one.peak_dbm)}",
        rise=_db(one.rise_db),
        still=DASH if one.phase_still is None else f"{one.phase_still:.2f}",
        course=tuple((seconds(at_ms), _dbm(dbm)) for at_ms, dbm in one.course),
    )


def _group(evidence: GateEvidence) -> Group | None:
    vote = evidence.group
    if vote is None:
        return None
    at_us, first_us = vote.crossed_at_us, evidence.first_seen_us
    after = DASH if at_us is None or first_us is None else seconds((at_us - first_us) / 1000)
    direction = vote.direction if vote.direction in ("in", "out") else "undecided"
    silent = max(0, vote.moving - vote.agreeing - vote.contrary)
    return Group(direction, vote.agreeing, vote.contrary, silent, vote.moving, after)


def _moved(row: MovementRow, found: ExplainedPassage, language: str) -> Moved:
    entries = [entry for entry in found.entries if entry.source_id == row.movement_id]
    return Moved(
        id=str(row.movement_id),
        kind=_name(Kind(row.kind)),
        quantity=f"{micro_text(row.qty_micro)} {row.unit or ''}".strip(),
        item=_item(row, language),
        way=f"{row.from_code or '?'} → {row.to_code or '?'}",
        document=" · ".join(text for text in (row.document, row.party) if text),
        is_correction=row.corrects is not None,
        vouchers=" · ".join(
            f"{entry.voucher} ({entry.period_id})" if entry.voucher else f"{entry.period_id}" for entry in entries
        ),
    )


def _sighting(one: SeenPassage, is_this: bool, clock: Callable[[int], str]) -> Sighting:
    row = one.passage
    return Sighting(
        id=str(row.movement_id),
        gate=row.gate or "?",
        direction=_name(Crossing(row.direction)),
        confidence=_percent(row.confidence),
        at=clock(row.occurred_us),
        wins=one.wins,
        is_this=is_this,
    )


def _in_time(sightings: list[SeenPassage]) -> list[SeenPassage]:
    return sorted(sightings, key=lambda one: (one.passage.occurred_us, one.passage.seq))


def _item(row: PassageRow | MovementRow, language: str) -> str:
    name = (row.item_zh or row.item_en) if language == "zh" else (row.item_en or row.item_zh)
    return " ".join(text for text in (row.item, name) if text)


def _name(one: Any) -> str:
    name: str = one.name.lower()
    return name


def _percent(confidence: float) -> str:
    return f"{round(confidence * 100)} %"


def _or_dash(value: int | None) -> str:
    return DASH if value is None else str(value)


def _db(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} dB".replace("-", "−")


def _dbm(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} dBm".replace("-", "−")
