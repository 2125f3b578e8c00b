"""Any order of appending, telling, restoring, waiting, forgetting and reopening: what must always hold."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.outbox.outbox import RETENTION_S, TOLD_STEP_S, Outbox
from tests.outboxes import ToldClock, applied, held, observations


class OutboxStory(RuleBasedStateMachine):
    """An outbox beside a plain model of what it was told.

    ids        the id of every number ever given, by epoch, in the order of the epochs: their names are random,
               and a draw that followed the names would not replay
    told_s     when (open time) a number was first told applied
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ToldClock()
        self.open_s = 0.0
        self.incarnation = 1
        self.ids: dict[str, dict[int, str]] = {}
        self.applied: dict[str, int] = {}
        self.told_s: dict[tuple[str, int], float] = {}
        self.outbox = Outbox.open(self.folder / "outbox.db", clock=self.clock.clock)

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 30))
    def append(self, count: int) -> None:
        seqs = self.outbox.append(observations(count))
        given = self.ids.setdefault(self.outbox.epoch, {})
        assert seqs == list(range(len(given) + 1, len(given) + count + 1))
        for seq in seqs:
            given[seq] = held(self.outbox)[self.outbox.epoch][seq]

    def tell(self, epoch: str, number: int) -> None:
        self.outbox.record_applied(applied((epoch, number), incarnation=self.incarnation))
        self.applied[epoch] = number
        for seq in range(1, number + 1):
            self.told_s.setdefault((epoch, seq), self.open_s)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def the_cloud_applies(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(list(self.ids)))
        self.tell(epoch, data.draw(st.integers(self.applied.get(epoch, 0), len(self.ids[epoch]))))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def the_cloud_is_restored(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(list(self.ids)))
        self.incarnation += 1
        for other in self.applied:
            self.applied[other] = 0
        self.tell(epoch, data.draw(st.integers(0, self.applied.get(epoch, 0))))

    @rule(hours=st.sampled_from([1, 20, 50, 80]))
    def hours_pass(self, hours: int) -> None:
        self.clock.passes(hours * 3600)
        self.open_s += hours * 3600

    @rule()
    def forget(self) -> None:
        while self.outbox.forget():
            pass
        # Whatever was told longer ago than that, and is applied still, must be gone.
        for epoch, movements in held(self.outbox).items():
            for seq in movements:
                told_s = self.told_s.get((epoch, seq), self.open_s)
                is_due = self.open_s - told_s > RETENTION_S + TOLD_STEP_S
                assert not is_due or seq > self.applied.get(epoch, 0)

    @rule(closed_hours=st.sampled_from([0, 100]))
    def reopen(self, closed_hours: int) -> None:
        self.outbox.close()
        self.clock.passes(closed_hours * 3600)
        self.outbox = Outbox.open(self.folder / "outbox.db", clock=self.clock.clock)
        assert self.outbox.epoch not in self.ids

    @invariant()
    def what_is_held_is_what_was_written(self) -> None:
        found = held(self.outbox)
        for epoch, given in self.ids.items():
            for seq, movement_id in given.items():
                if (kept := found.get(epoch, {}).get(seq)) is not None:
                    assert kept == movement_id
                else:  # forgotten: only what was told applied 72 hours ago
                    assert self.open_s - self.told_s[epoch, seq] >= RETENTION_S

    @invariant()
    def states_agree_with_what_was_told(self) -> None:
        for state in self.outbox.epochs():
            given = self.ids.get(state.epoch, {})
            assert state.last == len(given)
            assert state.applied == self.applied.get(state.epoch, 0)
            assert (state.end is None) == (state.epoch == self.outbox.epoch)


TestOutboxStory = OutboxStory.TestCase
TestOutboxStory.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
