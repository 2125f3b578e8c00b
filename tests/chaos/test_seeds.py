"""A few seeds of `make chaos`, one of them with a restore: the books end as those of an undisturbed run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.house import Server
from tests.chaos.run import disturbances_of, is_restored, run_seed
from tests.chaos.script import LONGEST_US, script_of

SEEDS = (1, 4)  # the second is restored to an earlier moment


@pytest.fixture(scope="module")
def server(session_folder: Path) -> Iterator[Server]:
    with Server(session_folder / "chaos") as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_disturbed_run_ends_in_the_books_of_an_undisturbed_one(
    server: Server, tmp_path: Path, seed: int
) -> None:
    outcome = run_seed(server, seed, tmp_path)
    print(f"make chaos ARGS='--seed {seed}'", *outcome.disturbed, sep="\n  ")
    assert outcome.wrong == []
    assert outcome.replayed > 0


def test_one_of_the_seeds_is_restored() -> None:
    assert [is_restored(seed) for seed in SEEDS] == [False, True]


def test_a_seed_says_the_same_every_time() -> None:
    assert disturbances_of(7) == disturbances_of(7)
    assert script_of(7, LONGEST_US) == script_of(7, LONGEST_US)
    assert script_of(7, LONGEST_US) != script_of(8, LONGEST_US)


def test_the_lines_of_a_script_lie_in_the_order_of_their_gateways_log() -> None:
    for seed in range(20):
        for log in script_of(seed, LONGEST_US).logs:
            times = [passage.occurred_us for passage in log]
            assert times == sorted(times)
            assert times[-1] <= 2 * LONGEST_US
