"""What is wrong with the database or the broker, in words that a person can act on.

In: what the driver raised or the broker answered. Out: a Trouble, which says what is wrong, by a kind that stays the
same while it lasts, and what to do about it. Nothing is decided here: whatever it is, the worker waits and tries again.

PostgreSQL names its refusals by SQLSTATE, except to who is not let in: libpq hands on only text then, in the server's
language. Text that is not known here keeps its own words.
"""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import errors

from cloud.settings import WrongSetting

DATABASE, BROKER = "database", "broker"
DOWN = "down"  # the kind of what is not there, of either


@dataclass(frozen=True, slots=True)
class Trouble:
    """kind: the same as long as it is the same trouble. what, do: for the person who reads the log.

    is_strain  what was asked was too much at once: it is asked in smaller pieces
    """

    kind: str
    what: str
    do: str
    is_strain: bool = False


class WrongSchema(Exception):
    """The database is not of the schema that this program was written for."""

    def __init__(self, missing: Sequence[str], unknown: Sequence[str]) -> None:
        self.missing, self.unknown = list(missing), list(unknown)
        super().__init__(f"missing {', '.join(missing) or 'nothing'}, unknown {', '.join(unknown) or 'nothing'}")


_SETTING = Trouble("setting", "a setting of ours cannot be read any more", "put it back; it is read again")

# ── The database ──

_DOWN = Trouble(
    DOWN, "it cannot be reached or has broken off",
    "see that the server runs, and that the host and port of TALLYGATE_DSN lead to it",
)  # fmt: skip
# Of the same kind, because a restart is one trouble and looks like all three of them in turn.
_STARTING = Trouble(DOWN, "it is starting, stopping or recovering", "wait; its own log says how far it is")
_ENDED = Trouble(
    "down",
    "it ended our session",
    "nothing, if it comes back soon; else see that the server runs and why it stopped",
)
_CONNECTIONS = Trouble(
    "connections", "it has no connection left for us",
    "end sessions that are not needed (pg_stat_activity), or raise max_connections or the role's or database's limit",
)  # fmt: skip
_SIGN_IN = Trouble(
    "sign-in", "it does not accept our sign-in",
    "compare user and password of TALLYGATE_DSN with the server's role; `tallygate migrate` can set them",
)  # fmt: skip
_NOT_ADMITTED = Trouble(
    "not admitted", "its access list (pg_hba.conf) has no line for us",
    "add a line for this host, user and database, or use TLS if only hostssl lines are there",
)  # fmt: skip
_NO_DATABASE = Trouble(
    "no database", "the server has no database of that name",
    "correct the name in TALLYGATE_DSN, or make the database and run `tallygate migrate`",
)  # fmt: skip
_TLS = Trouble(
    "tls", "TLS with it does not come about",
    "see that the server's TLS is on, shares a version and cipher with us, and is what sslmode in TALLYGATE_DSN wants",
)  # fmt: skip
_CERTIFICATE = Trouble(
    "certificate", "its certificate is not accepted",
    "give the server a valid certificate of the authority in sslrootcert, or put the right authority there",
)  # fmt: skip
_NAME = Trouble(
    "certificate name", "its certificate is for another host",
    "use in TALLYGATE_DSN the host name that the certificate is for, or have one made for this name",
)  # fmt: skip
_AUTHORITY_FILE = Trouble(
    "authority file", "the certificate file named in TALLYGATE_DSN cannot be used",
    "put the authority's certificate (PEM) where sslrootcert points, readable for this program",
)  # fmt: skip
_UNKNOWN_HOST = Trouble(
    "unknown host", "its host name is not known", "correct TALLYGATE_DSN, or mend the name service"
)
_SCHEMA = Trouble(
    "schema", "its schema is not the one this program was written for",
    "run `tallygate migrate` of this program's version as the owner",
)  # fmt: skip
_DSN = Trouble("dsn", "TALLYGATE_DSN cannot be read", "write it as postgresql://user:password@host:port/database")
_STORAGE = Trouble(
    "storage", "it finds its own files damaged or unreadable",
    "look at the server's log and its disks before anything else, and have the newest backup at hand",
)  # fmt: skip

_OF_STATES = {
    "53100": Trouble(
        "disk full", "its disk is full", "free space on the volumes of its data, its WAL and its tablespaces"
    ),
    "53200": Trouble(
        "memory", "it is out of memory",
        "give the server more, or lower shared_buffers, work_mem or max_connections", is_strain=True,
    ),
    "53300": _CONNECTIONS,
    "53400": Trouble("limit", "a limit of the server is reached", "raise the limit it names", is_strain=True),
    "54": Trouble("limit", "a limit of the server is reached", "raise the limit it names", is_strain=True),
    "25006": Trouble(
        "read-only", "it is read-only",
        "switch default_transaction_read_only off for the server, database and role, or give TALLYGATE_DSN the primary",
    ),
    "25P03": Trouble(
        "paused", "it ended our transaction because we had paused in it",
        "see whether this machine is short of processor time or memory, or sleeps", is_strain=True,
    ),
    "57014": Trouble(
        "slow", "it is too slow: a statement took longer than statement_timeout and was given up",
        "see what else the server does (pg_stat_activity), its disks, and when tables were last vacuumed",
        is_strain=True,
    ),
    "55P03": Trouble(
        "locked", "others hold locks that we need for longer than lock_timeout",
        "let them finish, or end the session that holds on (pg_terminate_backend)",
    ),
    "40": Trouble(
        "deadlock", "it broke off our transaction in favour of another", "nothing; when it lasts, report it"
    ),
    "57P01": _ENDED,
    "57P02": _ENDED,
    "57P03": _STARTING,
    "57": _DOWN,
    "08": _DOWN,
    "28P01": _SIGN_IN,
    "28": _NOT_ADMITTED,
    "3D000": _NO_DATABASE,
    "42501": Trouble(
        "rights", "our role lacks a right there",
        "see that TALLYGATE_DSN names the role tallygate_ingest, and run `tallygate migrate`, which lays the grants",
    ),
    "42": _SCHEMA,
    "3F": _SCHEMA,
    "58": _STORAGE,
    "XX": _STORAGE,
}  # fmt: skip

# From the special to the general, in small letters; libpq's own words and the server's English ones.
_OF_TEXTS = (
    ("too many clients", _CONNECTIONS),
    ("too many connections", _CONNECTIONS),
    ("remaining connection slots", _CONNECTIONS),
    ("password authentication failed", _SIGN_IN),
    ("no password supplied", _SIGN_IN),
    ("not permitted to log in", _SIGN_IN),
    ("pg_hba.conf", _NOT_ADMITTED),
    ("root certificate file", _AUTHORITY_FILE),
    ("could not read root certificate", _AUTHORITY_FILE),
    ("could not load", _AUTHORITY_FILE),
    ("does not match host name", _NAME),
    ("certificate verify failed", _CERTIFICATE),
    ("certificate", _CERTIFICATE),
    ("ssl syscall error", _DOWN),
    ("ssl error", _TLS),
    ("does not support ssl", _TLS),
    ("ssl was required", _TLS),
    ("starting up", _STARTING),
    ("shutting down", _STARTING),
    ("recovery mode", _STARTING),
    ("not yet accepting connections", _STARTING),
    ("could not translate host name", _UNKNOWN_HOST),
    ("failed to resolve host", _UNKNOWN_HOST),
    ("could not open file", _STORAGE),
    ("refused", _DOWN),
    ("timeout", _DOWN),
    ("timed out", _DOWN),
    ("closed the connection", _DOWN),
    ("no route", _DOWN),
    ("unreachable", _DOWN),
    ("connection reset", _DOWN),
    ("connection is lost", _DOWN),
    ("the connection is closed", _DOWN),
)


def of_database(error: psycopg.Error | WrongSchema | WrongSetting) -> Trouble:
    """What this error of the database means."""
    if isinstance(error, WrongSetting):
        return _SETTING
    if isinstance(error, WrongSchema):
        return _of_schema(error)
    state = error.sqlstate
    if state is None:
        return _of_text(error)
    if found := _OF_STATES.get(state) or _OF_STATES.get(state[:2]):
        return found
    return Trouble(state, "it refuses what we ask", "see the server's words; when they do not help, report them")


def _of_schema(error: WrongSchema) -> Trouble:
    if error.missing:
        return Trouble("schema behind", f"its schema lacks {', '.join(error.missing)}", _SCHEMA.do)
    return Trouble(
        "schema ahead", f"its schema is newer than this program: {', '.join(error.unknown)}",
        "start the version of this program that the database was migrated for",
    )  # fmt: skip


def _of_text(error: psycopg.Error) -> Trouble:
    if isinstance(error, errors.ConnectionTimeout):
        return _DOWN
    if isinstance(error, psycopg.ProgrammingError):
        return _DSN
    text = str(error).lower()
    if "database" in text and "does not exist" in text:
        return _NO_DATABASE
    if "role" in text and "does not exist" in text:
        return _SIGN_IN
    for part, trouble in _OF_TEXTS:
        if part in text:
            return trouble
    return Trouble("other", "it does not serve us", "see its words; the server's own log tells more")


# ── The broker ──

_BROKER_AUTHORITY = Trouble(
    "authority file", "the file in TALLYGATE_MQTT_CA_FILE cannot be used",
    "put the authority's certificate (PEM) there, readable for this program",
)  # fmt: skip
_BROKER_DOWN = Trouble(
    DOWN, "nothing listens there", "start the broker, or correct TALLYGATE_MQTT_HOST and TALLYGATE_MQTT_PORT"
)
_BROKER_SILENT = Trouble(
    "silent",
    "it does not answer",
    "see whether the network and its firewalls let us through, and whether it hangs",
)
_BROKER_NAME = Trouble(
    "unknown host", "its host name is not known", "correct TALLYGATE_MQTT_HOST, or mend the name service"
)
_BROKER_TLS = Trouble(
    "tls", "TLS with it does not come about",
    "see that TALLYGATE_MQTT_PORT is its TLS port, and that it shares a protocol version and cipher with us",
)  # fmt: skip
_HUNG_UP = Trouble(
    "hung up", "it broke off",
    "see its log; when it never lets us in: a port for TLS wants TALLYGATE_MQTT_CA_FILE",
)  # fmt: skip

# OpenSSL's X509_V_ERR_…, x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _HOSTNAME_MISMATCH, _IP_MISMATCH = 9, 10, 62, 64

# Return codes of CONNACK as paho translates them to MQTT 5's reasons (MQTT 3.1.1, 3.2.2.3).
_OF_ANSWERS = {
    132: Trouble("protocol", "it does not speak MQTT 3.1.1", "use a broker of MQTT 3.1.1 or newer"),
    133: Trouble(
        "client id", "it rejects our client id", "let it accept client ids beginning with tallygate-ingest-"
    ),
    136: Trouble("unavailable", "it says that it is unavailable", "see its log"),
}
_BROKER_SIGN_IN = Trouble(
    "sign-in", "it does not accept our user and password",
    "compare TALLYGATE_MQTT_USER and TALLYGATE_MQTT_PASSWORD (or its file) with the broker's; both are read again",
)  # fmt: skip
SUBSCRIPTIONS = Trouble(
    "subscriptions", "it does not let us read the gateways' topics",
    "let the cloud's user read tallygate/v1/+/+/+/movements, …/readings and …/status in the broker's access list",
)  # fmt: skip
LOST = Trouble(
    "lost", "the connection to it is lost again and again", "see its log, and the network on the way to it"
)
OWN_FAULT = Trouble("own fault", "our own client failed", "it begins anew; report what it says")


class WrongAuthority(Exception):
    """The file of the broker's certificate authority cannot be used."""


def of_broker(error: Exception, is_tls: bool) -> Trouble:
    """What this error on the way to the broker means; is_tls: TLS was wanted."""
    if isinstance(error, WrongSetting):
        return _SETTING
    if isinstance(error, WrongAuthority):
        return _BROKER_AUTHORITY
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if isinstance(error, ssl.SSLError):
        return _BROKER_TLS
    if isinstance(error, socket.gaierror | UnicodeError):
        return _BROKER_NAME
    if isinstance(error, ConnectionRefusedError):
        return _BROKER_DOWN
    if isinstance(error, ConnectionError):
        return _BROKER_TLS if is_tls else _HUNG_UP  # TCP is there, and nothing else has been said yet
    if isinstance(error, OSError):
        return _BROKER_SILENT
    return OWN_FAULT


def _of_certificate(error: ssl.SSLCertVerificationError) -> Trouble:
    code = error.verify_code
    if code == _EXPIRED:
        return Trouble("certificate expired", "its certificate has expired", "give the broker a new certificate")
    if code == _NOT_YET_VALID:
        return Trouble(
            "certificate early",
            "its certificate is not valid yet",
            "compare this machine's clock with the broker's",
        )
    if code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
        return Trouble(
            "certificate name", "its certificate is for another host",
            "use in TALLYGATE_MQTT_HOST the name that the certificate is for, or have one made for this name",
        )  # fmt: skip
    return Trouble(
        "certificate", "its certificate is not of the authority that we trust",
        "put the authority that signed it in TALLYGATE_MQTT_CA_FILE, or give the broker a certificate of ours",
    )  # fmt: skip


def of_answer(code: int) -> Trouble:
    """What the broker's refusal to let us in means; code: MQTT 5's reason."""
    return _OF_ANSWERS.get(code, _BROKER_SIGN_IN)


def of_end(was_joined: bool) -> Trouble:
    """A connection that ended without a reason, after it was joined or before."""
    return LOST if was_joined else _HUNG_UP
