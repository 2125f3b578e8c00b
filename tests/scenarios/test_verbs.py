"""The verbs that people type to look after the books, through the front door and on a real database."""

from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

import tallygate
from cloud.store.migrate import SERVICE_ROLES
from tests.makers import Warehouse


@pytest.fixture
def books(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The warehouse, named by the environment as an operator would."""
    info = warehouse.owner.info
    monkeypatch.setenv("TALLYGATE_DSN", make_conninfo(info.dsn, password=info.password))
    return warehouse


def stopped_log(books: Warehouse) -> None:
    """A log whose numbers 3 and 4 its gateway no longer holds."""
    for number in range(1, 7):
        books.log.passage(books.tag(number), "in", number)
    books.record(books.log.message(1, 2))
    books.log.oldest = 5
    books.record(books.log.message(5, 6))


def test_every_verb_of_the_door_leads_to_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in tallygate.VERBS:
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(tallygate.main([verb, "--help"]))
        assert ended.value.code == 0, verb
    assert capsys.readouterr().out


def test_a_verb_that_is_none_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert tallygate.main(["teleport"]) == 2
    told = capsys.readouterr().err
    assert "'teleport'" in told
    assert "verify" in told


def test_a_named_loss_lets_the_log_go_on_and_verify_shows_it(
    books: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_log(books)
    loss = ["loss", "demo/MAIN/gw-1", books.log.epoch, "3", "4", "--reason", "flash died", "--by", "Li Wei"]
    assert tallygate.main(loss) == 0
    books.record(books.log.message(5, 6))
    assert [row[0] for row in books.fetch("SELECT seq FROM observations ORDER BY seq")] == [1, 2, 5, 6]
    assert tallygate.main(["verify"]) == 0
    assert "3 … 4 (flash died, Li Wei)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gateway", "first", "last", "told"),
    [
        ("demo/MAIN/gw-1", "2", "4", "begins at 3"),
        ("demo/MAIN/gw-1", "3", "2", "begins at 3"),
        ("demo/MAIN/gw-9", "3", "4", "no gateway"),
        ("demo/MAIN", "3", "4", "tallygate loss"),
    ],
)
def test_a_loss_that_does_not_fit_the_log_is_refused(
    books: Warehouse, capsys: pytest.CaptureFixture[str], gateway: str, first: str, last: str, told: str
) -> None:
    stopped_log(books)
    assert tallygate.main(["loss", gateway, books.log.epoch, first, last, "--reason", "?", "--by", "Li Wei"]) == 2
    assert told in capsys.readouterr().err
    assert books.fetch("SELECT count(*) FROM log_losses") == [(0,)]


def test_a_log_that_goes_on_has_nothing_to_lose(books: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    books.log.passage(books.tag(1), "in")
    books.record(books.log.message())
    loss = ["loss", "demo/MAIN/gw-1", books.log.epoch, "2", "9", "--reason", "?", "--by", "Li Wei"]
    assert tallygate.main(loss) == 2
    assert "nothing of it is missing" in capsys.readouterr().err


def test_quarantine_is_listed_booked_and_dismissed(books: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    from cloud.domain.company import Gate
    from cloud.store.master import put_gate

    books.log.passage(books.tag(1), "in", 1, gate="dock-9")
    books.log.passage(books.tag(2), "in", 2, gate="dock-99")
    books.record(books.log.message())
    assert tallygate.main(["quarantine", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 2
    assert "dock-9" in listed[0]
    first, second = (line.split()[1].rstrip(":") for line in listed)
    assert tallygate.main(["quarantine", "book", "demo", first, "--by", "Li Wei"]) == 2
    assert "still cannot be booked" in capsys.readouterr().err
    put_gate(books.owner, books.company_id, Gate("dock-9", "STORE", "WORLD"))
    assert tallygate.main(["quarantine", "book", "demo", first, "--by", "Li Wei"]) == 0
    assert tallygate.main(["quarantine", "dismiss", "demo", second, "--by", "Li Wei", "--note", "a test"]) == 0
    capsys.readouterr()
    assert tallygate.main(["quarantine", "list"]) == 0
    assert capsys.readouterr().out.strip() == "nothing waits in quarantine"
    assert books.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}


def test_a_restore_said_by_hand_begins_the_next_incarnation(books: Warehouse) -> None:
    from cloud.flows.incarnation import current_incarnation

    before = current_incarnation(books.owner)
    assert tallygate.main(["restored", "--reason", "yesterday's copy of the folder"]) == 0
    assert current_incarnation(books.owner) == before + 1
    assert current_incarnation(books.ingest) == before + 1


def test_a_second_migration_changes_nothing(
    books: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tallygate.main(["migrate"]) == 0
    assert "the schema is the newest" in capsys.readouterr().out
    assert tallygate.main(["migrate", "--service-passwords", str(tmp_path)]) == 2
    assert SERVICE_ROLES[0] in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["verify"], ["quarantine", "list"], ["restored", "--reason", "x"], ["migrate"]])
def test_a_verb_without_a_database_says_what_is_missing(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TALLYGATE_DSN", raising=False)
    monkeypatch.delenv("TALLYGATE_DSN_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tallygate.main(verb) == 2
    assert "TALLYGATE_DSN" in capsys.readouterr().err
