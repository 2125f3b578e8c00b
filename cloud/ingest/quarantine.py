"""Messages that cannot be read: asked for once more, and set aside when the same bytes come again."""

import hashlib
from collections import OrderedDict

MOST_REMEMBERED = 1_000  # suspects; beyond that the oldest gets another chance


class Suspects:
    """Remembers the bytes that could not be read, by digest."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def came_again(self, payload: bytes) -> bool:
        """Whether these bytes came before; if not they are remembered."""
        digest = hashlib.sha256(payload).digest()
        if digest in self._seen:
            del self._seen[digest]
            return True
        self._seen[digest] = None
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return False
