"""Passages on their way to disk, also when there is no room."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import edge.log_keeper
from edge.log_keeper import LogKeeper
from edge.outbox.on_thread import OutboxOnThread
from edge.readings import Passage
from edge.recognition.gate_recognition import GateRecognition
from tests.outboxes import DEADLINE_S, held, movement, see
from tests.walks import GATE, T0_US, stand, walk_in, walk_out


def passages(*walks: list) -> list[Passage]:
    recognised = []
    for walk in walks:
        recognition = GateRecognition(GATE)
        recognised += recognition.feed(walk) + recognition.flush()
    return recognised


def run(tmp_path: Path, story: Callable) -> None:
    async def with_outbox() -> None:
        outbox = await OutboxOnThread.open(tmp_path / "outbox.db")
        keeper = LogKeeper(outbox, lambda: None)
        keeping = asyncio.create_task(keeper.run())
        async with asyncio.timeout(DEADLINE_S):
            await story(outbox, keeper)
        keeping.cancel()
        await asyncio.wait([keeping])
        await outbox.close()

    asyncio.run(with_outbox())


def test_passages_become_movements_and_those_that_stayed_do_not(tmp_path: Path) -> None:
    async def story(outbox: OutboxOnThread, keeper: LogKeeper) -> None:
        keeper.keep(passages(walk_in(epc="AA"), stand(-2.0, 15, epc="CC"), walk_out(epc="BB")))
        await keeper.emptied()
        batch = await outbox.next_batch(outbox.epoch, 0, 500, 1 << 17)
        assert batch is not None
        first, second = (movement(body) for body in batch.movements)
        assert (first.epc, first.direction, first.kind, first.gate) == ("AA", "in", "passage", "gate-1")
        assert abs(first.occurred_at_us - T0_US - 4_000_000) < 200_000
        assert first.qty_micro is None
        assert 0.5 < first.confidence <= 1
        assert b'"reason":"outside before inside"' in bytes(first.evidence)
        assert (second.epc, second.direction) == ("BB", "out")
        assert batch.last == 2

    run(tmp_path, story)


def test_a_full_disk_is_waited_for_and_what_is_beyond_memory_is_refused_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge.log_keeper, "RETRY_FULL_S", 0.02)
    monkeypatch.setattr(edge.log_keeper, "MOST_WAITING", 300)
    many = passages(walk_in()) * 200

    async def story(outbox: OutboxOnThread, keeper: LogKeeper) -> None:
        connection = outbox._outbox._connection
        (pages,) = await outbox._do(lambda: connection.execute("PRAGMA page_count").fetchone())
        await outbox._do(lambda: connection.execute(f"PRAGMA max_page_count = {pages + 5}"))
        keeper.keep(many)
        keeper.keep(many)
        await see("a full disk", lambda: "the outbox is full" in caplog.text)
        taken = outbox.last
        assert keeper.refused >= 100
        assert keeper.counters["passages_waiting"] == 300 - taken
        assert "passages are LOST" in caplog.text
        await outbox._do(lambda: connection.execute("PRAGMA max_page_count = 1000000"))
        await keeper.emptied()
        assert outbox.last == 300 == len(held(outbox._outbox)[outbox.epoch])
        assert caplog.text.count("the outbox is full") == 1

    run(tmp_path, story)
