"""Broker users: what the file keeps, who signs in, what a name may be."""

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire.topics import CHANNELS, FROM_GATEWAY, TO_GATEWAY, GatewayAddress
from standalone.credentials import (
    BadCredentials,
    Credentials,
    User,
    hash_password,
    load_credentials,
    new_password,
    parse_address,
    verify_password,
)
from standalone.mosquitto import access_lines, password_lines
from standalone.runtime import unpacked
from tests.conftest import absent

ADDRESS = GatewayAddress("demo", "main", "gw-1")


@given(password=st.text(min_size=1, max_size=80), other=st.text(max_size=80))
def test_a_hash_fits_its_own_password_only(password: str, other: str) -> None:
    hashed = hash_password(password)
    assert verify_password(password, hashed)
    assert verify_password(other, hashed) == (other == password)
    assert password not in hashed or len(password) < 4


def test_one_password_hashes_differently_each_time() -> None:
    assert hash_password("same") != hash_password("same")


@pytest.mark.parametrize(
    "hashed", ["", "plain", "$6$salt$hash", "$7$x$AAAA$AAAA", "$7$1000$!$AAAA", "$7$1000$AAAA"]
)
def test_a_hash_of_another_form_fits_nothing(hashed: str) -> None:
    assert not verify_password("", hashed)
    assert not verify_password("plain", hashed)


def test_passwords_are_long_and_never_the_same_twice() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert min(len(password) for password in made) >= 43  # 256 bits in base64


def test_the_file_keeps_users_and_no_password(tmp_path: Path) -> None:
    credentials, cloud = Credentials.none().adding(User("cloud", "cloud"))
    credentials, gateway = credentials.adding(User("gw-1", "gateway", ADDRESS))
    path = tmp_path / "credentials.json"
    credentials.save(path)
    assert load_credentials(path) == credentials
    assert cloud not in path.read_text()
    assert gateway not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_signing_in_needs_the_name_and_its_password() -> None:
    credentials, password = Credentials.none().adding(User("gw-1", "gateway", ADDRESS))
    assert credentials.sign_in("gw-1", password) == User("gw-1", "gateway", ADDRESS)
    for name, given_password in (("gw-1", None), ("gw-1", ""), (None, password), ("gw-2", password), ("", "")):
        assert credentials.sign_in(name, given_password) is None


def test_adding_a_name_again_replaces_its_password() -> None:
    credentials, first = Credentials.none().adding(User("cloud", "cloud"))
    credentials, second = credentials.adding(User("cloud", "cloud"))
    assert credentials.sign_in("cloud", first) is None
    assert credentials.sign_in("cloud", second) is not None
    assert credentials.without("cloud") == Credentials.none()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "gw+", "#", "a:b", "line\nbreak"])
def test_a_name_that_would_mean_something_in_a_list_is_refused(name: str) -> None:
    with pytest.raises(BadCredentials, match="cannot be a user's name"):
        User(name, "cloud")


def test_a_gateway_has_an_address_and_the_cloud_has_none() -> None:
    with pytest.raises(BadCredentials, match="gateway has an address"):
        User("gw-1", "gateway")
    with pytest.raises(BadCredentials, match="cloud has none"):
        User("cloud", "cloud", ADDRESS)


@pytest.mark.parametrize("text", ["", "demo", "demo/main", "demo/main/gw/1", "demo/+/gw-1", "demo//gw-1"])
def test_an_address_has_three_plain_levels(text: str) -> None:
    with pytest.raises(BadCredentials, match="expected company/site/gateway"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '{"a": {"role": "boss", "password_hash": "x"}}', '{"a": {"role": "cloud"}}'],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    with pytest.raises(BadCredentials, match=r"credentials\.json|expected a role"):
        load_credentials(path)


def test_the_access_list_says_what_the_topic_tables_say() -> None:
    credentials, _ = Credentials.none().adding(User("gw-1", "gateway", ADDRESS), "x")
    credentials, _ = credentials.adding(User("cloud", "cloud"), "x")
    lines = list(access_lines(credentials))
    cloud, gateway = lines[: lines.index("user gw-1")], lines[lines.index("user gw-1") :]
    assert cloud == [
        "user cloud",
        *(f"topic read tallygate/v1/+/+/+/{channel}" for channel in FROM_GATEWAY),
        *(f"topic write tallygate/v1/+/+/+/{channel}" for channel in TO_GATEWAY),
    ]
    assert gateway == [
        "user gw-1",
        *(
            f"topic {'write' if channel in FROM_GATEWAY else 'read'} tallygate/v1/demo/main/gw-1/{channel}"
            for channel in CHANNELS
        ),
    ]


def test_mosquittos_own_program_makes_hashes_that_we_verify(tmp_path: Path) -> None:
    folder = unpacked("mosquitto")
    if folder is None:
        absent("mosquitto", "`make timescaledb` unpacks it on Debian-like hosts")
        return
    path = tmp_path / "passwords"
    subprocess.run(
        [folder / "usr/bin/mosquitto_passwd", "-b", "-c", path, "gw-1", "a password"],
        check=True,
        capture_output=True,
    )
    _, hashed = path.read_text().strip().split(":", 1)
    assert verify_password("a password", hashed)
    assert not verify_password("another", hashed)


def test_the_password_file_has_a_line_for_each_user() -> None:
    credentials, _ = Credentials.none().adding(User("cloud", "cloud"), "x")
    assert [line.split(":", 1)[0] for line in password_lines(credentials)] == ["cloud"]
