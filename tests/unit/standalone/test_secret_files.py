"""`tallygate secrets`: made once, private, fitting together."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from cloud.store.migrate import SERVICE_ROLES
from standalone.credentials import load_credentials
from standalone.secret_files import main

FIRST, SECOND = "demo/MAIN/gw-1", "demo/EAST/gw-2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def run(folder: Path, *arguments: str) -> int:
    return main(["--folder", str(folder), *arguments])


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_second_run_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    before = contents(folder)
    assert run(folder) == 0
    assert contents(folder) == before
    assert "nothing, all of it was there" in capsys.readouterr().out


def test_no_two_installations_share_a_secret(tmp_path: Path) -> None:
    assert run(tmp_path / "one") == 0
    assert run(tmp_path / "two") == 0
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    # What a broker's users may do is the same everywhere; nothing else is.
    assert {name for name in one if one[name] == two[name]} == {"mosquitto_access"}


def test_no_two_passwords_are_the_same(folder: Path) -> None:
    assert run(folder, "-g", FIRST, "-g", SECOND) == 0
    names = ["database_password", *SERVICE_ROLES, "mqtt_cloud", "mqtt_gw-1", "mqtt_gw-2"]
    assert len({(folder / name).read_text() for name in names}) == len(names)


def test_nobody_else_can_read_them(folder: Path) -> None:
    assert run(folder) == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    # Read inside its container by an account of the image; outside the folder protects it.
    assert modes.pop("database_password") == 0o444
    assert set(modes.values()) == {0o600}


def test_connection_strings_hold_the_passwords_that_migrate_sets(folder: Path) -> None:
    assert run(folder) == 0
    for name, role in (("ingest_dsn", "tallygate_ingest"), ("api_dsn", "tallygate_api")):
        found = conninfo_to_dict((folder / name).read_text().strip())
        assert found["user"] == role
        assert found["password"] == (folder / role).read_text().strip()
        assert (found["host"], found["port"], found["dbname"]) == ("database", "5432", "tallygate")
    owner = conninfo_to_dict((folder / "migrate_dsn").read_text().strip())
    assert owner["password"] == (folder / "database_password").read_text().strip()


def test_broker_users_sign_in_with_their_files(folder: Path) -> None:
    assert run(folder, "-g", FIRST) == 0
    credentials = load_credentials(folder / "credentials.json")
    for name in ("cloud", "gw-1"):
        user = credentials.sign_in(name, (folder / f"mqtt_{name}").read_text().strip())
        assert user is not None
        assert f"{name}:{credentials.hashes[name]}\n" in (folder / "mosquitto_passwords").read_text()


def test_a_gateway_added_later_leaves_the_others_alone(folder: Path) -> None:
    assert run(folder, "-g", FIRST) == 0
    before = contents(folder)
    assert run(folder, "-g", SECOND) == 0
    after = contents(folder)
    assert after["mqtt_gw-1"] == before["mqtt_gw-1"]
    assert set(load_credentials(folder / "credentials.json").users) == {"cloud", "gw-1", "gw-2"}
    assert "user gw-2" in after["mosquitto_access"]


def test_a_deleted_password_is_made_anew_and_the_old_one_ends(folder: Path) -> None:
    assert run(folder, "-g", FIRST) == 0
    old = (folder / "mqtt_gw-1").read_text().strip()
    (folder / "mqtt_gw-1").unlink()
    assert run(folder, "-g", FIRST) == 0
    credentials = load_credentials(folder / "credentials.json")
    assert credentials.sign_in("gw-1", old) is None
    assert credentials.sign_in("gw-1", (folder / "mqtt_gw-1").read_text().strip()) is not None


def test_one_name_for_two_gateways_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "-g", FIRST) == 0
    assert run(folder, "-g", "demo/EAST/gw-1") == 1
    assert "need names of their own" in capsys.readouterr().err


def test_a_gateway_that_is_no_address_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "-g", "gw-1") == 1
    assert "expected company/site/gateway, got 'gw-1'" in capsys.readouterr().err


def test_other_lines_of_the_environment_file_stay(folder: Path) -> None:
    environment = folder.parent / ".env"
    environment.write_text("TALLYGATE_API_PUBLISH=127.0.0.1:9000\nTALLYGATE_UID=7\n")
    assert run(folder) == 0
    lines = environment.read_text().splitlines()
    assert lines[0] == "TALLYGATE_API_PUBLISH=127.0.0.1:9000"
    assert sum(line.startswith("TALLYGATE_UID=") for line in lines) == 1
    assert "TALLYGATE_UID=7" not in lines


def test_containers_never_run_as_root(folder: Path) -> None:
    assert run(folder) == 0
    uid = int((folder.parent / ".env").read_text().split("TALLYGATE_UID=")[1].split()[0])
    assert uid != 0
    assert {path.stat().st_uid for path in folder.iterdir()} == {uid}
    assert os.geteuid() in (0, uid)


def test_certificates_are_made_once(folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    assert run(folder, "--certificate", "broker") == 0
    made = (folder / "broker.pem").read_text()
    assert run(folder, "--certificate", "other") == 0
    assert (folder / "broker.pem").read_text() == made
    assert stat.S_IMODE((folder / "broker.key").stat().st_mode) == 0o600


def test_without_certificates_it_says_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    assert "still to put into" in capsys.readouterr().out
