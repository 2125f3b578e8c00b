"""Each trouble is said once; waits grow to a most; what drivers raise becomes words."""

import logging
import socket
import ssl
from typing import Any

import psycopg
import pytest

from cloud.ingest.patience import SPREAD, Complaint, Waits
from cloud.ingest.troubles import DOWN, Trouble, WrongAuthority, WrongSchema, of_answer, of_broker, of_database
from cloud.settings import WrongSetting

FULL = Trouble("disk full", "its disk is full", "free space")
GONE = Trouble(DOWN, "it cannot be reached", "start it")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture
def complaint(caplog: pytest.LogCaptureFixture) -> Complaint:
    caplog.set_level(logging.INFO)
    return Complaint("database")


def test_troubles_that_alternate_are_said_once_each(complaint: Complaint, caplog: Any) -> None:
    for trouble in (FULL, GONE, FULL, GONE, FULL):
        complaint.about(trouble, "here", "words")
    assert complaint.now == FULL
    complaint.is_over()
    assert complaint.now is None
    assert lines(caplog) == [
        ("ERROR", "the database does not serve: its disk is full"),
        ("ERROR", "the database does not serve: it cannot be reached"),
        ("INFO", "the database serves again"),
    ]
    assert caplog.records[-1].tries == 5


def test_a_trouble_that_comes_again_later_is_said_again(complaint: Complaint, caplog: Any) -> None:
    for _ in range(2):
        complaint.about(FULL, "here", "words")
        complaint.is_over()
    assert [level for level, _ in lines(caplog)] == ["ERROR", "INFO", "ERROR", "INFO"]


def test_health_is_not_news(complaint: Complaint, caplog: Any) -> None:
    complaint.is_over()
    assert lines(caplog) == []


def test_a_lapse_is_one_line_when_it_is_over(complaint: Complaint, caplog: Any) -> None:
    complaint.about(GONE, "here", "closed unexpectedly", is_lapse=True)
    complaint.is_over()
    assert lines(caplog) == [("WARNING", "the database broke off and serves again")]
    assert caplog.records[0].error == "closed unexpectedly"


def test_a_lapse_is_explained_by_what_the_next_try_finds(complaint: Complaint, caplog: Any) -> None:
    complaint.about(GONE, "here", "closed unexpectedly", is_lapse=True)
    complaint.about(FULL, "here", "words")
    assert lines(caplog) == [("ERROR", "the database does not serve: its disk is full")]


def test_a_lapse_after_another_is_a_trouble(complaint: Complaint, caplog: Any) -> None:
    for _ in range(3):
        complaint.about(GONE, "here", "closed unexpectedly", is_lapse=True)
    assert lines(caplog) == [("ERROR", "the database does not serve: it cannot be reached")]


def test_waits_double_up_to_a_most_and_begin_anew() -> None:
    waits = Waits(0.5, 10.0)
    for expected_s in (0.5, 1, 2, 4, 8, 10, 10, 10):
        assert expected_s * (1 - SPREAD) <= waits.next_s() <= expected_s * (1 + SPREAD)
    waits.begin()
    assert waits.next_s() <= 0.5 * (1 + SPREAD)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connection to server at \"10.0.0.1\", port 5432 failed: Connection refused", DOWN),
        ("server closed the connection unexpectedly", DOWN),
        ("FATAL:  the database system is starting up", DOWN),
        ("FATAL:  the database system is not yet accepting connections", DOWN),
        ("FATAL:  sorry, too many clients already", "connections"),
        ("FATAL:  too many connections for role \"tallygate_ingest\"", "connections"),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "connections"),
        ("FATAL:  password authentication failed for user \"tallygate_ingest\"", "sign-in"),
        ("FATAL:  database \"tallygat\" does not exist", "no database"),
        ("FATAL:  no pg_hba.conf entry for host \"10.0.0.9\", user \"x\", no encryption", "not admitted"),
        ("SSL error: certificate verify failed", "certificate"),
        ("server certificate for \"a\" does not match host name \"b\"", "certificate name"),
        ("root certificate file \"/x/ca.pem\" does not exist", "authority file"),
        ("server does not support SSL, but SSL was required", "tls"),
        ("SSL error: tlsv1 alert protocol version", "tls"),
        ("SSL SYSCALL error: EOF detected", DOWN),
        ("[Errno -2] failed to resolve host 'nowhere.invalid': Name or service not known", "unknown host"),
        ("对不起, 已经有太多的客户", "other"),
    ],
)  # fmt: skip
def test_words_of_who_is_not_let_in(text: str, kind: str) -> None:
    assert of_database(psycopg.OperationalError(text)).kind == kind


@pytest.mark.parametrize(
    ("error", "kind", "is_strain"),
    [
        (psycopg.errors.DiskFull, "disk full", False),
        (psycopg.errors.OutOfMemory, "memory", True),
        (psycopg.errors.TooManyConnections, "connections", False),
        (psycopg.errors.ReadOnlySqlTransaction, "read-only", False),
        (psycopg.errors.LockNotAvailable, "locked", False),
        (psycopg.errors.QueryCanceled, "slow", True),
        (psycopg.errors.IdleInTransactionSessionTimeout, "paused", True),
        (psycopg.errors.DeadlockDetected, "deadlock", False),
        (psycopg.errors.AdminShutdown, DOWN, False),
        (psycopg.errors.CannotConnectNow, DOWN, False),
        (psycopg.errors.InsufficientPrivilege, "rights", False),
        (psycopg.errors.UndefinedColumn, "schema", False),
        (psycopg.errors.DataCorrupted, "storage", False),
        (psycopg.errors.IoError, "storage", False),
        (psycopg.errors.FeatureNotSupported, "0A000", False),
    ],
)
def test_refusals_by_their_state(error: type[psycopg.Error], kind: str, is_strain: bool) -> None:
    found = of_database(error("words"))
    assert (found.kind, found.is_strain) == (kind, is_strain)


def test_a_schema_behind_is_named_by_what_it_lacks() -> None:
    assert "0014_next" in of_database(WrongSchema(["0014_next"], [])).what
    assert of_database(WrongSchema(["0014_next"], ["0015_other"])).kind == "schema behind"
    assert of_database(WrongSchema([], ["0015_other"])).kind == "schema ahead"


@pytest.mark.parametrize(
    ("error", "kind", "kind_with_tls"),
    [
        (ConnectionRefusedError(), DOWN, DOWN),
        (ConnectionResetError(), "hung up", "tls"),
        (TimeoutError(), "silent", "silent"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host", "unknown host"),
        (UnicodeError("label empty or too long"), "unknown host", "unknown host"),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), "tls", "tls"),
        (WrongAuthority("ca.pem"), "authority file", "authority file"),
        (WrongSetting("TALLYGATE_MQTT_HOST is not set"), "setting", "setting"),
        (ZeroDivisionError(), "own fault", "own fault"),
    ],
)
def test_errors_on_the_way_to_the_broker(error: Exception, kind: str, kind_with_tls: str) -> None:
    assert (of_broker(error, is_tls=False).kind, of_broker(error, is_tls=True).kind) == (kind, kind_with_tls)


@pytest.mark.parametrize(
    ("code", "kind"), [(134, "sign-in"), (135, "sign-in"), (136, "unavailable"), (133, "client id")]
)
def test_answers_of_the_broker(code: int, kind: str) -> None:
    assert of_answer(code).kind == kind
