"""kill -9 at any instant: every number that was acknowledged is on disk, without a break."""

import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from edge.outbox.outbox import Outbox
from tests.outboxes import held

KILLS = 30
LONGEST_LIFE_S = 0.06  # after the first acknowledgement: some dozens of transactions

# Appends portions of changing size and prints the last number after each, once it was acknowledged.
WRITER = """
import itertools, sys
from pathlib import Path
from edge.outbox.outbox import Outbox
from protocols.wire.applied import Applied, EpochApplied
from tests.outboxes import observations
outbox = Outbox.open(Path(sys.argv[1]))
print(outbox.epoch, flush=True)
for portion in itertools.cycle([1, 40, 3, 200]):
    seqs = outbox.append(observations(portion, start=outbox.last + 1))
    print(seqs[-1], flush=True)
    outbox.record_applied(Applied(schema=1, incarnation=1, sent_at_us=0,
        epochs=[EpochApplied(epoch=outbox.epoch, applied=seqs[0] - 1)]))
"""


def test_every_acknowledged_movement_survives_thirty_kills(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    chance = random.Random(20251122)
    acknowledged: dict[str, int] = {}
    for _ in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert writer.stdout is not None
        with writer.stdout:
            epoch = writer.stdout.readline().strip()
            first = writer.stdout.readline()
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))  # the instant itself is what is tried here
            writer.send_signal(signal.SIGKILL)
            # A line that the kill cut in two has no end and is no acknowledgement.
            lines = [line for line in [first, *writer.stdout] if line.endswith("\n")]
        assert writer.wait(timeout=10) == -signal.SIGKILL
        acknowledged[epoch] = int(lines[-1])

    with closing(Outbox.open(path)) as outbox:
        found = held(outbox)
        states = {state.epoch: state for state in outbox.epochs()}

    assert len(acknowledged) == KILLS
    for epoch, last in acknowledged.items():
        assert list(found[epoch]) == list(range(1, states[epoch].last + 1))
        assert states[epoch].last >= last
        assert states[epoch].end == states[epoch].last
    assert set(found) == set(acknowledged)
    ids = [movement_id for movements in found.values() for movement_id in movements.values()]
    assert len(ids) == len(set(ids))
    assert list(tmp_path.glob("*.corrupt-*")) == []
