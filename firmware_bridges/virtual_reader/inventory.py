"""The ROSpecs a reader holds and the states they go through (section 6.1), without any I/O.

    command                 DISABLED            INACTIVE            ACTIVE
    ENABLE_ROSPEC           INACTIVE, or ACTIVE where the start trigger is immediate
                                                INACTIVE            ACTIVE
    START_ROSPEC            refused             ACTIVE              ACTIVE
    STOP_ROSPEC             refused             INACTIVE            INACTIVE
    DISABLE_ROSPEC          DISABLED            DISABLED            DISABLED
    DELETE_ROSPEC           gone                gone                gone

ROSpecs outlive a connection, as the standard wants: who comes back finds them as they were.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_bridges.virtual_reader.messages import ROSpec, ROSpecState
from protocols.llrp import MessageType, StatusCode

MAX_ROSPECS = 8  # what our capabilities say

_NEXT = {
    (MessageType.ENABLE_ROSPEC, ROSpecState.DISABLED): ROSpecState.INACTIVE,
    (MessageType.ENABLE_ROSPEC, ROSpecState.INACTIVE): ROSpecState.INACTIVE,
    (MessageType.ENABLE_ROSPEC, ROSpecState.ACTIVE): ROSpecState.ACTIVE,
    (MessageType.START_ROSPEC, ROSpecState.INACTIVE): ROSpecState.ACTIVE,
    (MessageType.START_ROSPEC, ROSpecState.ACTIVE): ROSpecState.ACTIVE,
    (MessageType.STOP_ROSPEC, ROSpecState.INACTIVE): ROSpecState.INACTIVE,
    (MessageType.STOP_ROSPEC, ROSpecState.ACTIVE): ROSpecState.INACTIVE,
    (MessageType.DISABLE_ROSPEC, ROSpecState.DISABLED): ROSpecState.DISABLED,
    (MessageType.DISABLE_ROSPEC, ROSpecState.INACTIVE): ROSpecState.DISABLED,
    (MessageType.DISABLE_ROSPEC, ROSpecState.ACTIVE): ROSpecState.DISABLED,
}

# Id 0 means every ROSpec in these, and nothing in the others (section 10.1).
_MAY_SAY_ALL = (MessageType.ENABLE_ROSPEC, MessageType.DISABLE_ROSPEC, MessageType.DELETE_ROSPEC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: a status and, unless it succeeded, why not."""

    status: StatusCode = StatusCode.SUCCESS
    reason: str = ""


DONE = Outcome()


class Inventory:
    """All ROSpecs of one reader; at most one is active at a time."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[ROSpec, ROSpecState]] = {}

    def __iter__(self) -> Iterator[tuple[ROSpec, ROSpecState]]:
        return iter(self._held.values())

    @property
    def active(self) -> ROSpec | None:
        """The ROSpec that runs now."""
        return next((rospec for rospec, state in self if state is ROSpecState.ACTIVE), None)

    def add(self, rospec: ROSpec) -> Outcome:
        """Hold one more, disabled."""
        if rospec.rospec_id in self._held:
            return Outcome(StatusCode.INVALID, f"ROSpec {rospec.rospec_id} is there already")
        if len(self._held) >= MAX_ROSPECS:
            return Outcome(StatusCode.OUT_OF_RANGE, f"at most {MAX_ROSPECS} ROSpecs are held")
        self._held[rospec.rospec_id] = (rospec, ROSpecState.DISABLED)
        return DONE

    def apply(self, verb: MessageType, rospec_id: int) -> Outcome:
        """Delete, enable, start, stop or disable one, or all where the standard allows it."""
        if rospec_id == 0 and verb in _MAY_SAY_ALL:
            outcomes = [self._apply_to(verb, held) for held in list(self._held)]
            return next((outcome for outcome in outcomes if outcome is not DONE), DONE)
        if rospec_id not in self._held:
            return Outcome(StatusCode.INVALID, f"no ROSpec {rospec_id} is held")
        return self._apply_to(verb, rospec_id)

    def end(self, rospec: ROSpec) -> None:
        """The ROSpec's own stop trigger fired."""
        if rospec.rospec_id in self._held:
            self._held[rospec.rospec_id] = (rospec, ROSpecState.INACTIVE)

    def _apply_to(self, verb: MessageType, rospec_id: int) -> Outcome:
        rospec, state = self._held[rospec_id]
        if verb is MessageType.DELETE_ROSPEC:
            del self._held[rospec_id]
            return DONE
        after = _NEXT.get((verb, state))
        if after is None:
            return Outcome(StatusCode.INVALID, f"{verb.name}: ROSpec {rospec_id} is {state.name.lower()}")
        if verb is MessageType.ENABLE_ROSPEC and state is ROSpecState.DISABLED and rospec.starts_at_once:
            after = ROSpecState.ACTIVE
        running = self.active
        if after is ROSpecState.ACTIVE and running is not None and running.rospec_id != rospec_id:
            # The standard lets priorities decide; a gate needs one inventory, so a second one waits.
            return Outcome(StatusCode.DEVICE_ERROR, f"ROSpec {running.rospec_id} runs already")
        self._held[rospec_id] = (rospec, after)
        return DONE
