"""What a batch books, movements and value events in one order: the columns that cost and journal have in common."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.domain.movement import Bytes16, MovementColumns
from cloud.domain.value_event import ValueEventColumns

Int64 = NDArray[np.int64]


@dataclass(slots=True)
class Records:
    """r rows; `moves` of them were movements before they were ordered, the rest value events.

    record_id    uint8[r, 16], movement_id or event_id
    kind         int64[r], Kind
    occurred_us  int64[r]
    tags         int64[r], Tag bits
    document     list of r texts
    corrects     uint8[r, 16], what it corrects: a movement, or the receipt of a value event; zero for nothing
    """

    record_id: Bytes16
    kind: Int64
    occurred_us: Int64
    tags: Int64
    document: list[str]
    corrects: Bytes16

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def of(cls, moves: MovementColumns, events: ValueEventColumns) -> "Records":
        """The movements, then the events."""
        if len(events) == 0:
            return cls(
                moves.movement_id, moves.kind, moves.occurred_us, moves.tags.copy(), moves.document, moves.corrects
            )
        return cls(
            np.concatenate([moves.movement_id, events.event_id]),
            np.concatenate([moves.kind, events.kind]),
            np.concatenate([moves.occurred_us, events.occurred_us]),
            np.concatenate([moves.tags, np.zeros(len(events), np.int64)]),
            [*moves.document, *events.document],
            np.concatenate([moves.corrects, events.original]),
        )

    def take(self, index: Int64) -> "Records":
        """The rows of `index`, in its order."""
        return Records(
            self.record_id[index], self.kind[index], self.occurred_us[index], self.tags[index],
            [self.document[i] for i in index], self.corrects[index],
        )  # fmt: skip
