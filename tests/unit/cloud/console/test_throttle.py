"""How often a name and an address may try to sign in."""

from cloud.console.throttle import (
    ADDRESS_BURST,
    ADDRESS_REFILL_S,
    NAME_BURST,
    NAME_REFILL_S,
    SLOTS,
    SignInThrottle,
)


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def fail(throttle: SignInThrottle, name: str, address: str, times: int) -> list[float]:
    return [throttle.take_try(name, address) for _ in range(times)]


def test_a_name_has_its_tries_and_then_has_to_wait() -> None:
    throttle = SignInThrottle(Clock())
    assert fail(throttle, "wang", "10.0.0.1", NAME_BURST) == [0.0] * NAME_BURST
    assert throttle.take_try("WANG", "10.0.0.2") == NAME_REFILL_S


def test_waiting_gives_one_try_back_at_a_time() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock)
    fail(throttle, "wang", "10.0.0.1", NAME_BURST)
    clock.now_s += NAME_REFILL_S
    assert fail(throttle, "wang", "10.0.0.1", 2) == [0.0, NAME_REFILL_S]


def test_a_right_password_does_not_count() -> None:
    throttle = SignInThrottle(Clock())
    for _ in range(5 * NAME_BURST):
        assert throttle.take_try("wang", "10.0.0.1") == 0
        throttle.forgive("wang", "10.0.0.1")


def test_an_address_that_tries_many_names_has_to_wait() -> None:
    throttle = SignInThrottle(Clock())
    waits = [throttle.take_try(f"name-{number}", "10.0.0.1") for number in range(ADDRESS_BURST + 1)]
    assert waits[-1] == ADDRESS_REFILL_S
    assert throttle.take_try("name-0", "10.0.0.9") == 0


def test_a_refused_try_costs_nothing_more() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock)
    fail(throttle, "wang", "10.0.0.1", NAME_BURST + 500)
    clock.now_s += NAME_REFILL_S
    assert throttle.take_try("wang", "10.0.0.2") == 0


def test_a_flood_of_names_neither_grows_the_memory_nor_frees_a_name() -> None:
    throttle = SignInThrottle(Clock())
    fail(throttle, "wang", "10.0.0.1", NAME_BURST)
    for number in range(20_000):
        throttle.take_try(f"flood-{number}", f"10.{number >> 8}.{number & 255}.1")
    assert throttle.take_try("wang", "192.168.0.1") > 0
    assert len(throttle._names._full_at) == SLOTS
