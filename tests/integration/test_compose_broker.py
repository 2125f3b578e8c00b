"""The broker of docker-compose.yml with its real configuration file: TLS, its users, nobody else."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from standalone.account import server_account
from standalone.child import Child, Program
from standalone.healthy import main as healthy
from standalone.mosquitto import NoMosquitto, find_mosquitto
from standalone.ports import HOST, accepts, free_port
from standalone.secret_files import main as make_secrets
from tests.conftest import absent

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ANSWER_TIMEOUT_S = 20.0

# Names of compose's secrets → files that `tallygate secrets` makes; as in docker-compose.yml.
RENAMED = {"broker_certificate": "broker.pem", "broker_key": "broker.key"}


@dataclass(frozen=True)
class Installation:
    """The broker as compose runs it, without the container around it."""

    port: int
    secrets: Path

    def password(self, user: str) -> str:
        return (self.secrets / f"mqtt_{user}").read_text().strip()


@pytest.fixture(scope="module")
def installation(session_folder: Path) -> Iterator[Installation]:
    try:
        program, _ = find_mosquitto()
    except NoMosquitto:
        absent("mosquitto", "`make timescaledb` unpacks it on Debian-like hosts, or install it")
    if shutil.which("openssl") is None:
        absent("openssl", "install it, or try compose with certificates of your own")
    folder = session_folder / "compose"
    folder.mkdir()
    secrets = folder / "secrets"
    assert make_secrets(["--folder", str(secrets), "--certificate", "localhost"]) == 0
    port = free_port()
    text = (CHECKOUT / "docker" / "mosquitto.conf").read_text()
    for name, file in RENAMED.items():
        text = text.replace(f"/run/secrets/{name}", str(secrets / file))
    text = text.replace("/run/secrets", str(secrets)).replace("listener 8883", f"listener {port} {HOST}")
    if server_account() is not None:
        text += "user root\n"  # the container is given its user by compose; here mosquitto would look for one
    configuration = folder / "mosquitto.conf"
    configuration.write_text(text)
    broker = Child(
        Program("mosquitto", [str(program), "-c", str(configuration)], folder, folder / "mosquitto.log"),
        lambda: accepts(port),
    )
    broker.start()
    yield Installation(port, secrets)
    broker.stop()


def answer(installation: Installation, user: str | None, password: str, authority: Path) -> int:
    """The broker's answer to a sign-in with TLS: 0 is yes."""
    answers: Queue[int] = Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.on_connect = lambda _c, _u, _f, reason, _p: answers.put(reason.value)
    if user is not None:
        client.username_pw_set(user, password)
    client.tls_set(ca_certs=str(authority))
    client.connect("localhost", installation.port)
    client.loop_start()
    try:
        return answers.get(timeout=ANSWER_TIMEOUT_S)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("user", ["cloud", "gw-1"])
def test_its_users_sign_in_over_tls(installation: Installation, user: str) -> None:
    assert answer(installation, user, installation.password(user), installation.secrets / "ca.pem") == 0


@pytest.mark.parametrize("user", [None, "cloud", "gw-1"])
def test_nobody_else_does(installation: Installation, user: str | None) -> None:
    assert answer(installation, user, "wrong", installation.secrets / "ca.pem") != 0


@pytest.mark.parametrize("name", ["localhost", "broker.example"])
def test_a_client_checks_who_the_broker_is(installation: Installation, name: str) -> None:
    knowing = ssl.create_default_context(cafile=str(installation.secrets / "ca.pem"))
    strange = ssl.create_default_context()
    for context, trusted in ((knowing, name == "localhost"), (strange, False)):
        with socket.create_connection((HOST, installation.port), ANSWER_TIMEOUT_S) as connection:
            if trusted:
                context.wrap_socket(connection, server_hostname=name).close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    context.wrap_socket(connection, server_hostname=name)


def test_without_tls_there_is_no_answer(installation: Installation) -> None:
    with socket.create_connection((HOST, installation.port), ANSWER_TIMEOUT_S) as connection:
        # CONNECT of MQTT 3.1.1 (section 3.1) with an empty client id.
        connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            said = connection.recv(4)
        except ConnectionResetError:
            said = b""
    assert not said.startswith(b"\x20"), "the broker answered with CONNACK"


def test_its_health_check_sees_it(installation: Installation) -> None:
    assert healthy(["listening", str(installation.port)]) == 0
