"""What goes wrong with the broker: the worker says it once, tries again, and hears the gateways when it is mended."""

import os
import shutil
import signal
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud import settings
from cloud.ingest import subscriber
from cloud.settings import BrokerSettings
from cloud.store import readiness
from standalone.mosquitto import Mosquitto, NoMosquitto, find_mosquitto
from standalone.ports import free_port
from tests.certificates import Authority, Certificate, has_openssl
from tests.chaos.network import Proxy
from tests.conftest import BrokerUsers, RunningBroker, absent
from tests.ingesting import Gateway, cloud_on, eventually, said, write

pytestmark = pytest.mark.database

TRIES = 4


class SecureMosquitto(Mosquitto):
    """One more listener, with TLS; `show` changes its certificate."""

    def __init__(self, credentials: Path, log_file: Path) -> None:
        super().__init__(credentials, log_file)
        self.secure_port = free_port()
        self._shown: Certificate | None = None

    def show(self, certificate: Certificate) -> None:
        """Mosquitto reads its certificates anew when it is told to reload; this waits until it has."""
        self._shown = certificate
        self.reload()
        wanted = ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())
        eventually(lambda: ssl.PEM_cert_to_DER_cert(self._asked()) == wanted)

    def _asked(self) -> str:
        return ssl.get_server_certificate((self.host, self.secure_port), timeout=5)

    def _write_files(self, folder: Path) -> None:
        assert self._shown is not None
        super()._write_files(folder)
        shown = {"shown.pem": self._shown.certificate, "shown.key": self._shown.key}
        for name, source in shown.items():
            shutil.copy(source, folder / name)
        with (folder / "mosquitto.conf").open("a") as file:
            file.write(f"listener {self.secure_port} {self.host}\n")
            file.write(f"certfile {folder / 'shown.pem'}\nkeyfile {folder / 'shown.key'}\n")
        if self._account is not None:
            for name in shown:
                os.chown(folder / name, self._account.uid, self._account.gid)


@dataclass
class SecureBroker:
    """The broker with TLS, certificates for it, and what its client is told."""

    program: SecureMosquitto
    good: Certificate
    expired: Certificate
    early: Certificate
    elsewhere: Certificate
    authority: Path
    stranger: Path
    now: BrokerSettings

    def change(self, **settings: Any) -> None:
        self.now = replace(self.now, **settings)

    def trust(self, authority: Path) -> None:
        assert self.now.ca_file is not None
        shutil.copy(authority, self.now.ca_file)


@pytest.fixture(scope="module")
def certificates(session_folder: Path) -> dict[str, Any]:
    if not has_openssl():
        absent("openssl", "install it: certificates are made with it")
    authority = Authority(session_folder / "broker-authority")
    return {
        "good": authority.certificate("broker", "IP:127.0.0.1"),
        "expired": authority.certificate("expired", "IP:127.0.0.1", end="20200601"),
        "early": authority.certificate("early", "IP:127.0.0.1", start="20980101"),
        "elsewhere": authority.certificate("elsewhere", "DNS:elsewhere.example"),
        "authority": authority.file,
        "stranger": Authority(session_folder / "broker-stranger").file,
    }


@pytest.fixture
def secure(certificates: dict[str, Any], broker_users: BrokerUsers, tmp_path: Path) -> Iterator[SecureBroker]:
    try:
        find_mosquitto()
    except NoMosquitto:
        absent("mosquitto", "`make timescaledb` unpacks it on Debian-like hosts, or install it")
    program = SecureMosquitto(broker_users.credentials, tmp_path / "mosquitto.log")
    program._shown = certificates["good"]
    program.start()
    trusted = tmp_path / "trusted.pem"
    shutil.copy(certificates["authority"], trusted)
    users = (broker_users.cloud, broker_users.cloud_password)
    now = BrokerSettings(program.host, program.secure_port, *users, ca_file=trusted)
    yield SecureBroker(program, now=now, **certificates)
    program.stop()


@pytest.fixture
def cloud(database: Any, secure: SecureBroker, broker_users: BrokerUsers) -> Iterator[Any]:
    """Its gateway uses the listener without TLS: what is wrong is between the worker and the broker."""
    program = secure.program
    with cloud_on(database, RunningBroker("secure", program.host, program.port, broker_users, program)) as made:
        yield made


@pytest.fixture
def gateway(cloud: Any) -> Iterator[Gateway]:
    made = Gateway(cloud.broker)
    yield made
    made.close()


def endures(cloud: Any, caplog: Any, secure: SecureBroker, mends: Callable[[], object], *kinds: str) -> None:
    """A worker that cannot join says why, once; mended, it joins and applies what the gateways send."""
    caplog.set_level("INFO")
    cloud.begin(settings=lambda: secure.now)
    eventually(lambda: cloud.subscriber.counters["broker_lost"] >= TRIES)
    assert said(caplog.records, "broker") == [*kinds]
    [complaint] = [record for record in caplog.records if getattr(record, "trouble", "") == kinds[0]]
    for told in (complaint.where, complaint.do, complaint.error):
        assert told
    assert all(secure.now.password not in str(record.__dict__) for record in caplog.records)
    mends()
    assert cloud.subscriber.subscribed.wait(20)
    assert said(caplog.records, "broker") == [*kinds, "over"]
    log = write(cloud.warehouse, 2)
    gateway = Gateway(cloud.broker)
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)
    gateway.close()


Change = Callable[[SecureBroker], object]


def right_again(secure: SecureBroker) -> None:
    secure.trust(secure.authority)
    secure.program.show(secure.good)


@pytest.mark.parametrize(
    ("breaks", "kind"),
    [
        pytest.param(lambda secure: secure.trust(secure.stranger), "certificate", id="another authority"),
        pytest.param(
            lambda secure: secure.now.ca_file.write_text("none"), "authority file", id="an authority that is none"
        ),
        pytest.param(lambda secure: secure.now.ca_file.unlink(), "authority file", id="no authority"),
        pytest.param(lambda secure: secure.program.show(secure.expired), "certificate expired", id="expired"),
        pytest.param(lambda secure: secure.program.show(secure.early), "certificate early", id="not yet valid"),
        pytest.param(lambda secure: secure.program.show(secure.elsewhere), "certificate name", id="another host"),
    ],
)
def test_tls_that_does_not_come_about(
    cloud: Any, secure: SecureBroker, caplog: Any, breaks: Change, kind: str
) -> None:
    breaks(secure)
    endures(cloud, caplog, secure, lambda: right_again(secure), kind)


def test_tls_on_a_port_without_it(cloud: Any, secure: SecureBroker, caplog: Any) -> None:
    right = secure.now.port
    secure.change(port=secure.program.port)
    endures(cloud, caplog, secure, lambda: secure.change(port=right), "tls")


def test_no_tls_on_a_port_with_it(cloud: Any, secure: SecureBroker, caplog: Any) -> None:
    trusted = secure.now.ca_file
    secure.change(ca_file=None)
    endures(cloud, caplog, secure, lambda: secure.change(ca_file=trusted), "hung up")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"password": "guessed"}, "sign-in"),
        ({"user": "nobody"}, "sign-in"),
        ({"host": "nowhere.invalid"}, "unknown host"),
    ],
)
def test_settings_that_are_wrong(
    cloud: Any, secure: SecureBroker, caplog: Any, wrong: dict[str, str], kind: str
) -> None:
    right = secure.now
    secure.change(**wrong)
    endures(cloud, caplog, secure, lambda: setattr(secure, "now", right), kind)


def test_a_broker_that_is_not_there_yet(cloud: Any, secure: SecureBroker, caplog: Any) -> None:
    secure.program.stop()
    endures(cloud, caplog, secure, secure.program.start, "down")


def test_a_password_in_a_file_that_is_read_again(
    cloud: Any, secure: SecureBroker, caplog: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `tallygate ingest` reads it: the file may be wrong, missing, and right again without a restart."""
    file = tmp_path / "mqtt_cloud"
    for name, value in (("HOST", secure.now.host), ("PORT", secure.now.port), ("USER", secure.now.user)):
        monkeypatch.setenv(f"TALLYGATE_MQTT_{name}", str(value))
    monkeypatch.setenv("TALLYGATE_MQTT_CA_FILE", str(secure.now.ca_file))
    monkeypatch.setenv("TALLYGATE_MQTT_PASSWORD_FILE", str(file))
    file.write_text("of yesterday\n")
    caplog.set_level("INFO")
    cloud.begin(settings=settings.broker)
    eventually(lambda: said(caplog.records, "broker") == ["sign-in"])
    file.unlink()
    eventually(lambda: said(caplog.records, "broker") == ["sign-in", "setting"])
    file.write_text(f"{secure.now.password}\n")
    assert cloud.subscriber.subscribed.wait(20)
    assert said(caplog.records, "broker") == ["sign-in", "setting", "over"]


def test_topics_that_we_may_not_read(database: Any, embedded_broker: Any, caplog: Any) -> None:
    """mosquitto would say yes and deliver nothing; the embedded broker says no."""
    with cloud_on(database, embedded_broker) as cloud:
        caplog.set_level("INFO")
        users = embedded_broker.users
        now = [replace(cloud.settings, user=users.other_gateway, password=users.other_gateway_password)]
        cloud.begin(settings=lambda: now[0])
        eventually(lambda: cloud.subscriber.counters["broker_lost"] >= TRIES)
        assert said(caplog.records, "broker") == ["subscriptions"]
        now[0] = cloud.settings
        assert cloud.subscriber.subscribed.wait(20)
        assert said(caplog.records, "broker") == ["subscriptions", "over"]


def test_a_broker_that_dies_while_we_work(
    cloud: Any, database: Any, gateway: Gateway, secure: SecureBroker, caplog: Any
) -> None:
    caplog.set_level("INFO")
    log = write(cloud.warehouse, 4)
    cloud.begin(settings=lambda: secure.now)
    assert cloud.subscriber.subscribed.wait(20)
    gateway.send(log.payload(1, 2))
    gateway.until(log.epoch, 2)
    gateway.close()
    os.kill(secure.program.pid, signal.SIGKILL)
    eventually(lambda: cloud.subscriber.counters["broker_lost"] >= TRIES)
    assert said(caplog.records, "broker") == ["down"]
    with psycopg.connect(database.dsn_of("tallygate_api")) as service:
        assert readiness.look(service).ingest_waits == ["broker, down"]
    secure.program.start()
    assert cloud.subscriber.subscribed.wait(20)
    again = Gateway(cloud.broker)
    again.until(log.epoch, 2)  # everybody is told again: the broker has forgotten
    again.send(log.payload(3, 4))
    again.until(log.epoch, 4)
    again.close()
    assert said(caplog.records, "broker") == ["down", "over"]
    with psycopg.connect(database.dsn_of("tallygate_api")) as service:
        assert readiness.look(service).ingest_waits == []


def test_a_network_that_falls_silent(
    cloud: Any, gateway: Gateway, secure: SecureBroker, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is reset and nothing refused: keepalives find it out."""
    monkeypatch.setattr(subscriber, "KEEPALIVE_S", 1)
    monkeypatch.setattr(subscriber, "LOOP_S", 0.1)
    monkeypatch.setattr(subscriber, "CONNECT_TIMEOUT_S", 0.5)
    caplog.set_level("INFO")
    log = write(cloud.warehouse, 4)
    with Proxy(secure.now.port) as relay:
        secure.change(port=relay.port)
        cloud.begin(settings=lambda: secure.now)
        assert cloud.subscriber.subscribed.wait(20)
        gateway.send(log.payload(1, 2))
        gateway.until(log.epoch, 2)
        relay.cut()
        eventually(lambda: cloud.subscriber.counters["broker_lost"] >= 2)
        assert said(caplog.records, "broker") == ["silent"]
        relay.heal()
        assert cloud.subscriber.subscribed.wait(20)
        gateway.send(log.payload(3, 4))
        gateway.until(log.epoch, 4)
        cloud.stop()
    assert said(caplog.records, "broker") == ["silent", "over"]
