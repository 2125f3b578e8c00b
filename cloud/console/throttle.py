"""Failed sign-ins are slowed down, by name and by address, in a memory that cannot grow.

Counts stand in fixed tables, in the slot of a keyed hash: an attacker can neither fill the memory nor push
an entry out, and cannot choose whom to collide with. Two names in one slot share their patience, which is
rare and harmless. Several processes count apart, so an attacker has as many tries as there are processes.
"""

import hashlib
import secrets
import threading
import time
from array import array
from collections.abc import Callable

SLOTS = 4096  # 32 KiB a table
# Ten wrong passwords at once, then one a minute: a forgetful person gets in, a program never does
# (1,440 guesses a day against 79 random bits or whatever a person chose).
NAME_BURST = 10
NAME_REFILL_S = 60.0
# A warehouse may share one address; a program that tries many names gets 30, then one in ten seconds.
ADDRESS_BURST = 30
ADDRESS_REFILL_S = 10.0


class _Buckets:
    """A leaky bucket in each slot: what is left of `burst` tries, refilled by one each `refill_s`.

    A slot holds the moment at which its bucket is full again, which says the same in one number.
    """

    def __init__(self, burst: int, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._full_at = array("d", bytes(8 * SLOTS))
        self._key = secrets.token_bytes(16)

    def slot(self, text: str) -> int:
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key, digest_size=4).digest()
        return int.from_bytes(digest, "big") % SLOTS

    def wait_s(self, slot: int, now: float) -> float:
        """0 when a try is left, else how long until one is."""
        return max(0.0, self._full_at[slot] - now - (self._burst - 1) * self._refill_s)

    def take(self, slot: int, now: float) -> None:
        self._full_at[slot] = max(self._full_at[slot], now) + self._refill_s

    def give_back(self, slot: int) -> None:
        self._full_at[slot] -= self._refill_s


class SignInThrottle:
    """Says whether somebody may try now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._names = _Buckets(NAME_BURST, NAME_REFILL_S)
        self._addresses = _Buckets(ADDRESS_BURST, ADDRESS_REFILL_S)

    def take_try(self, name: str, address: str) -> float:
        """Take a try before the password is looked at; 0, or for how many seconds there is none.

        Taken first and given back after a success, so that a hundred tries at once are a hundred tries.
        """
        with self._lock:
            now = self._clock()
            by_name, by_address = self._names.slot(name.casefold()), self._addresses.slot(address)
            wait_s = max(self._names.wait_s(by_name, now), self._addresses.wait_s(by_address, now))
            if wait_s == 0:
                self._names.take(by_name, now)
                self._addresses.take(by_address, now)
            return wait_s

    def forgive(self, name: str, address: str) -> None:
        """The password was right: this try does not count."""
        with self._lock:
            self._names.give_back(self._names.slot(name.casefold()))
            self._addresses.give_back(self._addresses.slot(address))
