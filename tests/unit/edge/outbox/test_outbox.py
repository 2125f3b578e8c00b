"""The outbox on a real SQLite file: numbers, epochs, `applied`, retention, limits."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.outbox.file import ForeignFile, OutboxFull, OutboxInUse
from edge.outbox.ids import IdMaker
from edge.outbox.outbox import FORGET_AT_MOST, RETENTION_S, TOLD_STEP_S, NewMovement, Outbox
from protocols.wire import movement as wire
from tests.outboxes import T0_US, ToldClock, applied, held, movement, observations, observed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture
def outbox(path: Path, clock: ToldClock) -> Iterator[Outbox]:
    opened = Outbox.open(path, clock=clock.clock)
    yield opened
    opened.close()


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────


def test_movements_are_numbered_from_one_without_a_break(outbox: Outbox) -> None:
    assert outbox.append(observations(3)) == [1, 2, 3]
    assert outbox.append([]) == []
    assert outbox.append(observations(2, start=4)) == [4, 5]
    assert outbox.last == 5


def test_a_movement_comes_out_as_it_went_in_ready_for_the_wire(outbox: Outbox) -> None:
    outbox.append(observations(3))

    batch = outbox.next_batch(outbox.epoch, 0, 500, 1 << 17)

    assert batch is not None
    envelope = wire.Envelope(
        schema=1, epoch=batch.epoch, first=batch.first, last=batch.last, oldest=batch.oldest, sent_at_us=T0_US
    )
    decoded = wire.decode(wire.encode(envelope, batch.movements))
    assert decoded.unreadable == {}
    assert [m.seq for m in decoded.movements] == [1, 2, 3]
    third = decoded.movements[2]
    assert (third.epc, third.direction, third.occurred_at_us) == (f"{3:024X}", "in", T0_US + 3)
    assert b'"reason":"outside before inside"' in bytes(third.evidence)
    assert third.qty_micro is None


def test_a_batch_keeps_to_its_limits_and_says_when_waiting_is_in_vain(outbox: Outbox) -> None:
    outbox.append(observations(10))
    one = outbox.next_batch(outbox.epoch, 0, 1, 1 << 17)
    assert one is not None
    size = len(one.movements[0]) + 1

    by_count = outbox.next_batch(outbox.epoch, 0, 4, 1 << 17)
    by_bytes = outbox.next_batch(outbox.epoch, 4, 500, 3 * size)
    the_rest = outbox.next_batch(outbox.epoch, 7, 500, 1 << 17)

    assert by_count is not None
    assert by_bytes is not None
    assert the_rest is not None
    assert (by_count.first, by_count.last, by_count.is_full) == (1, 4, True)
    assert (by_bytes.first, by_bytes.last, by_bytes.is_full) == (5, 7, True)
    assert (the_rest.first, the_rest.last, the_rest.is_full) == (8, 10, False)
    assert outbox.next_batch(outbox.epoch, 10, 500, 1 << 17) is None


def test_a_movement_above_the_byte_limit_still_goes_alone(outbox: Outbox) -> None:
    outbox.append(observations(2))

    batch = outbox.next_batch(outbox.epoch, 0, 500, 10)

    assert batch is not None
    assert (batch.first, batch.last) == (1, 1)


def test_a_movement_too_large_to_be_sent_is_refused_and_nothing_is_numbered(outbox: Outbox) -> None:
    monster = NewMovement(T0_US, "passage", "gate-1", "AA", "in", evidence={"reason": "x" * 70_000})

    with pytest.raises(ValueError, match=r"expected at most 65536 bytes a movement, got 70\d\d\d"):
        outbox.append([observed(1), monster])

    assert outbox.last == 0
    assert held(outbox) == {}


def test_ids_are_uuid7_and_ascend_also_when_the_clock_goes_back() -> None:
    maker = IdMaker()
    stamps = [T0_US, T0_US, T0_US + 999, T0_US - 10_000_000, T0_US + 2000] + [T0_US] * 5000

    ids = [maker.make(stamp) for stamp in stamps]

    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in ids)
    assert int(ids[0][:12], 16) == T0_US // 1000


# ── epochs ──────────────────────────────────────────────────────────────────────────────────────────────


def test_every_opening_begins_an_epoch_and_the_earlier_one_is_delivered_to_its_end(path: Path) -> None:
    first = Outbox.open(path)
    first.append(observations(3))
    before = held(first)
    first.close()

    second = Outbox.open(path)
    second.append(observations(2, start=4))

    assert second.epoch != first.epoch
    assert held(second)[first.epoch] == before[first.epoch]
    earlier, current = second.epochs()
    assert (earlier.epoch, earlier.last, earlier.end) == (first.epoch, 3, 3)
    assert (current.epoch, current.last, current.end) == (second.epoch, 2, None)
    batch = second.next_batch(first.epoch, 0, 500, 1 << 17)
    assert batch is not None
    assert batch.end == 3
    second.close()


def test_an_epoch_without_movements_leaves_no_trace(path: Path) -> None:
    for _ in range(3):
        Outbox.open(path).close()
    outbox = Outbox.open(path)

    assert [state.epoch for state in outbox.epochs()] == [outbox.epoch]
    outbox.close()


def test_a_file_rolled_back_to_yesterday_never_uses_a_number_twice(path: Path, tmp_path: Path) -> None:
    yesterday = tmp_path / "yesterday"
    outbox = Outbox.open(path)
    outbox.append(observations(5))
    outbox.close()
    shutil.copytree(tmp_path, yesterday)

    numbered: dict[tuple[str, int], str] = {}
    for start in (6, 100):  # today, and today once more after the rollback
        outbox = Outbox.open(path)
        outbox.append(observations(4, start=start))
        for epoch, movements in held(outbox).items():
            for seq, movement_id in movements.items():
                assert numbered.setdefault((epoch, seq), movement_id) == movement_id
        outbox.close()
        for file in yesterday.iterdir():
            shutil.copy(file, tmp_path)

    assert len(numbered) == 5 + 4 + 4


def test_a_second_process_cannot_open_the_same_outbox(outbox: Outbox, path: Path) -> None:
    with pytest.raises(OutboxInUse, match=r"outbox\.db is open in another process"):
        Outbox.open(path)
    assert outbox.append(observations(1)) == [1]


def test_a_file_that_is_no_outbox_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE somebody_elses (x)")
    before = path.read_bytes()

    with pytest.raises(ForeignFile, match="expected application id"):
        Outbox.open(path)

    assert path.read_bytes() == before


def test_an_outbox_of_a_newer_program_is_left_alone(path: Path) -> None:
    Outbox.open(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 7")

    with pytest.raises(ForeignFile, match="expected schema version 1 or lower, got 7"):
        Outbox.open(path)


# ── applied ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_cloud_said_is_remembered_over_a_restart(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(10))
    assert outbox.record_applied(applied((outbox.epoch, 7), incarnation=3)) == []
    epoch = outbox.epoch
    outbox.close()

    again = Outbox.open(path)

    assert again.incarnation == 3
    (state, _) = again.epochs()
    assert (state.epoch, state.applied, state.head) == (epoch, 7, f"{7:064x}")
    again.close()


def test_applied_is_believed_also_when_it_is_lower_and_nothing_is_gone(outbox: Outbox) -> None:
    outbox.append(observations(10))
    outbox.record_applied(applied((outbox.epoch, 9)))

    alarms = outbox.record_applied(applied((outbox.epoch, 4), incarnation=2))

    assert alarms == []
    assert outbox.epochs()[0].applied == 4
    assert list(held(outbox)[outbox.epoch]) == list(range(1, 11))


def test_an_applied_above_the_own_last_number_deletes_nothing_and_alarms_once(
    outbox: Outbox, clock: ToldClock
) -> None:
    outbox.append(observations(3))
    epoch = outbox.epoch

    (alarm,) = outbox.record_applied(applied((epoch, 1000)))

    assert "expected 0 ≤ applied ≤ 3, got 1000" in alarm.text
    assert outbox.record_applied(applied((epoch, 1000))) == []
    assert outbox.counters.alarms == 1
    clock.passes(2 * RETENTION_S)
    assert outbox.forget() == 0
    assert list(held(outbox)[epoch]) == [1, 2, 3]
    assert outbox.epochs()[0].applied == 0


def test_after_an_applied_above_the_last_number_new_movements_get_a_new_epoch(outbox: Outbox) -> None:
    """A machine image rolled back with its memory goes on in an epoch whose next numbers the cloud has."""
    outbox.append(observations(3))
    rolled_back = outbox.epoch

    outbox.record_applied(applied((rolled_back, 1000)))

    assert outbox.epoch != rolled_back
    assert outbox.append(observations(1, start=4)) == [1]
    earlier, current = outbox.epochs()
    assert (earlier.epoch, earlier.end, current.epoch) == (rolled_back, 3, outbox.epoch)
    assert outbox.record_applied(applied((rolled_back, 3), (outbox.epoch, 1))) == []
    assert [state.applied for state in outbox.epochs()] == [3, 1]


def test_a_negative_applied_alarms_and_an_unknown_epoch_is_none_of_ours(outbox: Outbox) -> None:
    outbox.append(observations(3))

    assert len(outbox.record_applied(applied((outbox.epoch, -1)))) == 1
    assert outbox.record_applied(applied(("ab" * 16, 5))) == []
    assert outbox.epochs()[0].applied == 0


def test_after_a_restore_an_epoch_that_the_cloud_does_not_know_is_sent_from_its_beginning(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(5))
    outbox.record_applied(applied((outbox.epoch, 5), incarnation=1))

    outbox.record_applied(applied(incarnation=1))
    assert outbox.epochs()[0].applied == 5
    outbox.record_applied(applied(incarnation=2))

    assert outbox.epochs()[0].applied == 0
    outbox.close()


def test_an_incarnation_that_goes_back_is_believed_with_an_alarm(outbox: Outbox) -> None:
    outbox.append(observations(5))
    outbox.record_applied(applied((outbox.epoch, 5), incarnation=4))

    (alarm,) = outbox.record_applied(applied((outbox.epoch, 2), incarnation=3))

    assert "expected an incarnation of at least 4, got 3" in alarm.text
    assert (outbox.incarnation, outbox.epochs()[0].applied) == (3, 2)


def test_a_stopped_epoch_is_remembered_with_its_reason_until_it_is_cleared(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(5))
    outbox.record_applied(applied((outbox.epoch, 2), stopped="3 to 4 are missing"))
    outbox.close()

    outbox = Outbox.open(path)
    (state, _) = outbox.epochs()
    assert state.stopped == "3 to 4 are missing"
    outbox.record_applied(applied((state.epoch, 4)))
    assert outbox.epochs()[0].stopped is None
    outbox.close()


def test_the_oldest_movement_not_applied_is_known_by_when_it_was_written(outbox: Outbox, clock: ToldClock) -> None:
    assert outbox.oldest_unapplied_at_us() is None
    outbox.append(observations(2))
    clock.passes(60)
    outbox.append(observations(1, start=3))

    assert outbox.oldest_unapplied_at_us() == T0_US
    outbox.record_applied(applied((outbox.epoch, 2)))
    assert outbox.oldest_unapplied_at_us() == T0_US + 60_000_000
    outbox.record_applied(applied((outbox.epoch, 3)))
    assert outbox.oldest_unapplied_at_us() is None


# ── retention ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_movement_is_forgotten_72_hours_after_it_was_first_told_applied(
    outbox: Outbox, clock: ToldClock
) -> None:
    outbox.append(observations(4))
    outbox.record_applied(applied((outbox.epoch, 2)))
    clock.passes(3600)
    outbox.record_applied(applied((outbox.epoch, 4)))

    clock.passes(RETENTION_S - 3600 - 1)
    assert outbox.forget() == 0
    clock.passes(TOLD_STEP_S + 1)
    assert outbox.forget() == 2
    assert list(held(outbox)[outbox.epoch]) == [3, 4]
    assert outbox.epochs()[0].oldest == 3
    clock.passes(3600)
    assert outbox.forget() == 2
    assert outbox.epochs()[0].oldest == 5
    assert outbox.append(observations(1, start=5)) == [5]


def test_hours_while_the_outbox_was_closed_do_not_count(path: Path) -> None:
    clock = ToldClock()
    outbox = Outbox.open(path, clock=clock.clock)
    outbox.append(observations(1))
    outbox.record_applied(applied((outbox.epoch, 1)))
    clock.passes(RETENTION_S / 2)
    outbox.close()
    clock.passes(10 * RETENTION_S)

    again = Outbox.open(path, clock=clock.clock)
    assert again.forget() == 0
    clock.passes(RETENTION_S / 2 + TOLD_STEP_S)
    assert again.forget() == 1
    again.close()


def test_a_wall_clock_set_years_ahead_forgets_nothing(outbox: Outbox, clock: ToldClock) -> None:
    outbox.append(observations(1))
    outbox.record_applied(applied((outbox.epoch, 1)))

    clock.wall_us += 10 * 365 * 86_400 * 1_000_000

    assert outbox.forget() == 0


def test_what_a_restored_cloud_lost_is_not_forgotten_though_its_time_has_come(
    outbox: Outbox, clock: ToldClock
) -> None:
    outbox.append(observations(10))
    outbox.record_applied(applied((outbox.epoch, 10)))
    clock.passes(RETENTION_S - 60)
    outbox.record_applied(applied((outbox.epoch, 4), incarnation=2))
    clock.passes(3600)

    assert outbox.forget() == 4
    assert outbox.forget() == 0
    assert list(held(outbox)[outbox.epoch]) == list(range(5, 11))
    outbox.record_applied(applied((outbox.epoch, 10), incarnation=2))
    assert outbox.forget() == 6


def test_an_epoch_that_is_over_disappears_with_its_last_movement(path: Path) -> None:
    clock = ToldClock()
    outbox = Outbox.open(path, clock=clock.clock)
    outbox.append(observations(3))
    over = outbox.epoch
    outbox.close()
    outbox = Outbox.open(path, clock=clock.clock)
    outbox.record_applied(applied((over, 3)))

    assert [state.epoch for state in outbox.epochs()] == [over, outbox.epoch]
    clock.passes(RETENTION_S + TOLD_STEP_S)
    assert outbox.forget() == 3
    assert outbox.forget() == 0

    assert [state.epoch for state in outbox.epochs()] == [outbox.epoch]
    outbox.close()
    outbox = Outbox.open(path, clock=clock.clock)
    assert [state.epoch for state in outbox.epochs()] == [outbox.epoch]
    outbox.close()


def test_forgetting_much_is_done_in_portions(outbox: Outbox, clock: ToldClock) -> None:
    count = FORGET_AT_MOST + 10
    outbox.append(observations(count))
    outbox.record_applied(applied((outbox.epoch, count)))
    clock.passes(RETENTION_S + TOLD_STEP_S)

    assert [outbox.forget(), outbox.forget(), outbox.forget()] == [FORGET_AT_MOST, 10, 0]


def test_the_oldest_number_tells_the_cloud_that_forgotten_ones_cannot_come_again(
    outbox: Outbox, clock: ToldClock
) -> None:
    outbox.append(observations(10))
    outbox.record_applied(applied((outbox.epoch, 6)))
    clock.passes(RETENTION_S + TOLD_STEP_S)
    outbox.forget()

    outbox.record_applied(applied((outbox.epoch, 2), incarnation=2))

    state = outbox.epochs()[0]
    assert state.oldest == 7 > state.applied + 1
    batch = outbox.next_batch(outbox.epoch, state.applied, 500, 1 << 17)
    assert batch is not None
    assert (batch.first, batch.oldest) == (7, 7)


# ── a full disk ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_file_refuses_keeps_what_it_has_and_goes_on_when_there_is_room(outbox: Outbox) -> None:
    outbox.append(observations(3))
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(OutboxFull, match="no room"):
        outbox.append(observations(500, start=4))

    assert outbox.counters.refused == 500
    assert list(held(outbox)[outbox.epoch]) == [1, 2, 3]
    assert outbox.record_applied(applied((outbox.epoch, 2))) == []
    outbox._connection.execute("PRAGMA max_page_count = 1000000")
    assert outbox.append(observations(1, start=4)) == [4]


def fill(outbox: Outbox) -> None:
    for _ in range(5_000):
        outbox.append(observations(20, start=outbox.last + 1))


def test_a_full_disk_refuses_and_delivery_goes_on(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(mount)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        clock = ToldClock()
        outbox = Outbox.open(mount / "outbox.db", clock=clock.clock)
        with pytest.raises(OutboxFull):
            fill(outbox)
        taken = outbox.last
        assert taken > 0
        assert list(held(outbox)[outbox.epoch]) == list(range(1, taken + 1))
        # The cloud's word is believed even if there is no room to note it.
        outbox.record_applied(applied((outbox.epoch, taken)))
        assert outbox.epochs()[0].applied == taken
        outbox.close()

        again = Outbox.open(mount / "outbox.db", clock=clock.clock)
        assert list(held(again)[outbox.epoch]) == list(range(1, taken + 1))
        with pytest.raises(OutboxFull):
            fill(again)
        again.close()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


# ── a damaged file ──────────────────────────────────────────────────────────────────────────────────────


def damage(path: Path, at: int, junk: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(junk)


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.corrupt-*"))


def test_a_damaged_page_costs_its_own_movements_only_and_the_file_is_kept(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(2000))
    outbox.record_applied(applied((outbox.epoch, 5), incarnation=4))
    epoch, before = outbox.epoch, held(outbox)[outbox.epoch]
    outbox.close()
    pages = path.stat().st_size // 4096
    for page in (pages // 3, pages // 2):
        damage(path, page * 4096, b"\xee" * 4096)
    damaged_bytes = path.read_bytes()

    outbox = Outbox.open(path)

    (aside,) = set_aside(path)
    assert aside.read_bytes() == damaged_bytes
    kept = held(outbox)[epoch]
    assert 0 < 2000 - len(kept) < 60
    assert kept.items() <= before.items()
    assert outbox.counters.salvaged == len(kept)
    assert outbox.incarnation == 4
    state = outbox.epochs()[0]
    assert (state.epoch, state.last, state.end, state.applied, state.oldest) == (epoch, 2000, 2000, 5, 1)
    missing = min(set(before) - set(kept))
    outbox.record_applied(applied((epoch, missing - 1), incarnation=4))
    assert outbox.epochs()[0].oldest > missing
    assert outbox.append(observations(1)) == [1]
    outbox.close()
    assert list(path.parent.glob("*.reading*")) + list(path.parent.glob("*.salvag*")) == []


def test_movements_whose_epochs_row_is_lost_keep_their_epoch_and_numbers(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(100))
    epoch, before = outbox.epoch, held(outbox)[outbox.epoch]
    (root,) = outbox._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'epochs'").fetchone()
    outbox.close()
    damage(path, (root - 1) * 4096, b"\xee" * 4096)

    outbox = Outbox.open(path)

    assert held(outbox)[epoch] == before
    assert outbox.epochs()[0].applied == 0
    outbox.close()


def test_a_file_that_cannot_be_read_at_all_is_kept_and_the_gateway_goes_on(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(10))
    outbox.close()
    damage(path, 0, b"\x00" * 4096)
    damaged_bytes = path.read_bytes()

    outbox = Outbox.open(path)

    assert [aside.read_bytes() for aside in set_aside(path)] == [damaged_bytes]
    assert outbox.append(observations(1)) == [1]
    outbox.close()


def test_a_truncated_file_is_salvaged(path: Path) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(1000))
    epoch, before = outbox.epoch, held(outbox)[outbox.epoch]
    outbox.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)

    outbox = Outbox.open(path)

    kept = held(outbox)[epoch]
    assert 300 < len(kept) < 1000
    assert kept.items() <= before.items()
    assert outbox.epochs()[0].end == 1000
    outbox.close()


@pytest.mark.parametrize("already_aside", [[], ["-wal"], ["-wal", "-shm"], ["-wal", "-shm", ""]])
def test_a_salvage_that_was_interrupted_is_finished_at_the_next_opening(
    path: Path, already_aside: list[str]
) -> None:
    outbox = Outbox.open(path)
    outbox.append(observations(20))
    epoch, before = outbox.epoch, held(outbox)[outbox.epoch]
    outbox.close()
    shutil.copy(path, path.with_name("outbox.db.salvaged"))
    damage(path, 0, b"\x00" * 4096)
    path.with_name("outbox.db-wal").write_bytes(b"old")
    path.with_name("outbox.db-shm").write_bytes(b"old")
    for ending in already_aside:
        source = path.with_name(path.name + ending)
        source.rename(path.with_name(f"outbox.db.corrupt-20200101T000000000000Z{ending}"))

    outbox = Outbox.open(path)

    assert held(outbox)[epoch] == before
    assert {p.name[-4:] for p in set_aside(path)} >= {"-wal", "-shm"}
    assert not path.with_name("outbox.db.salvaged").exists()
    outbox.close()


def test_a_torn_write_ahead_log_is_no_damage(path: Path, tmp_path: Path) -> None:
    """A power cut in the middle of a commit: what was acknowledged before is there, the torn rest is not."""
    outbox = Outbox.open(path)
    outbox.append(observations(5))
    epoch = outbox.epoch
    copy = tmp_path / "copy" / "outbox.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    wal = path.with_name("outbox.db-wal").read_bytes()
    outbox.append(observations(50, start=6))
    longer = path.with_name("outbox.db-wal").read_bytes()
    copy.with_name("outbox.db-wal").write_bytes(longer[: (len(wal) + len(longer)) // 2])
    outbox.close()

    after_the_cut = Outbox.open(copy)

    assert list(held(after_the_cut)[epoch]) == [1, 2, 3, 4, 5]
    assert set_aside(copy) == []
    after_the_cut.close()


def test_bodies_keep_their_numbers(outbox: Outbox) -> None:
    outbox.append(observations(2))
    batch = outbox.next_batch(outbox.epoch, 1, 10, 1 << 17)
    assert batch is not None
    assert [movement(body).seq for body in batch.movements] == [2]
