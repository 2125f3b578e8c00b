"""TLS towards the database that does not come about: said once, waited for, and gone on with when it is mended."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from standalone.account import server_account
from tests.certificates import Authority, Certificate, has_openssl
from tests.conftest import absent
from tests.ingesting import eventually, said, write

pytestmark = pytest.mark.database

TRIES = 4


@dataclass
class SecureServer:
    """The tests' own server with TLS, certificates for it, and what its client trusts."""

    own: Any
    good: Certificate
    expired: Certificate
    elsewhere: Certificate
    trusted: Path  # the file that sslrootcert names
    authority: Path
    stranger: Path

    def show(self, certificate: Certificate) -> None:
        """The server shows this one from now on."""
        place = self.own.server.data
        for source, name in ((certificate.certificate, "shown.pem"), (certificate.key, "shown.key")):
            shutil.copy(source, place / name)
            (place / name).chmod(0o600)
            if (account := server_account()) is not None:
                os.chown(place / name, account.uid, account.gid)
        self.own.set(ssl="on", ssl_cert_file="shown.pem", ssl_key_file="shown.key")

    def trust(self, authority: Path) -> None:
        shutil.copy(authority, self.trusted)


@pytest.fixture(scope="module")
def certificates(session_folder: Path) -> dict[str, Any]:
    if not has_openssl():
        absent("openssl", "install it: certificates are made with it")
    authority = Authority(session_folder / "authority")
    return {
        "good": authority.certificate("database", "IP:127.0.0.1"),
        "expired": authority.certificate("expired", "IP:127.0.0.1", end="20200601"),
        "elsewhere": authority.certificate("elsewhere", "DNS:elsewhere.example"),
        "authority": authority.file,
        "stranger": Authority(session_folder / "stranger").file,
    }


@pytest.fixture
def secure(own_server: Any, certificates: dict[str, Any], tmp_path: Path) -> Iterator[SecureServer]:
    made = SecureServer(own_server, trusted=tmp_path / "trusted.pem", **certificates)
    try:
        made.show(made.good)
    except psycopg.errors.Error as error:
        absent("a PostgreSQL with TLS", f"`make timescaledb` unpacks one; the one here says: {error}")
    made.trust(made.authority)
    yield made
    own_server.set(ssl=None, ssl_cert_file=None, ssl_key_file=None)


Change = Callable[[SecureServer], object]


@pytest.mark.parametrize(
    ("breaks", "mends", "kind"),
    [
        pytest.param(
            lambda secure: secure.trust(secure.stranger), lambda secure: secure.trust(secure.authority),
            "certificate", id="another authority",
        ),
        pytest.param(
            lambda secure: secure.trusted.unlink(), lambda secure: secure.trust(secure.authority),
            "authority file", id="no authority",
        ),
        pytest.param(
            lambda secure: secure.trusted.write_text("not a certificate"),
            lambda secure: secure.trust(secure.authority), "authority file", id="an authority that is none",
        ),
        pytest.param(
            lambda secure: secure.show(secure.expired), lambda secure: secure.show(secure.good),
            "certificate", id="expired",
        ),
        pytest.param(
            lambda secure: secure.show(secure.elsewhere), lambda secure: secure.show(secure.good),
            "certificate name", id="another host",
        ),
        pytest.param(
            lambda secure: secure.own.set(ssl="off"), lambda secure: secure.own.set(ssl="on"), "tls", id="no TLS"
        ),
    ],
)  # fmt: skip
def test_tls_that_does_not_come_about(
    own_house: Any, secure: SecureServer, caplog: Any, breaks: Change, mends: Change, kind: str
) -> None:
    caplog.set_level("INFO")
    breaks(secure)
    log = write(own_house.cloud.warehouse, 3)
    way = make_conninfo(own_house.cloud.ingest_dsn, sslmode="verify-full", sslrootcert=str(secure.trusted))
    worker = own_house.cloud.start(dsn=way)
    own_house.gateway.send(log.payload())
    eventually(lambda: worker.counters["database_lost"] >= TRIES)
    assert said(caplog.records, "database") == [kind]
    assert (own_house.applied(), own_house.told()) == (0, 0)
    mends(secure)
    own_house.gateway.until(log.epoch, 3)
    eventually(lambda: said(caplog.records, "database") == [kind, "over"])
    with secure.own.superuser() as superuser:
        rows = superuser.execute(
            "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid)"
            " WHERE application_name = 'tallygate ingest'"
        )
        assert rows.fetchall() == [(True,)]
    assert own_house.applied() == 3
