"""docker-compose.yml keeps what it promises: pinned, non-root, no passwords, only files and verbs that exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import tallygate
from cloud.store.migrate import SERVICE_ROLES
from edge.settings import load_settings
from standalone import mosquitto
from standalone.healthy import CHECKS
from standalone.secret_files import main as make_secrets

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMPOSE = CHECKOUT / "docker-compose.yml"
CONFIG_TIMEOUT_S = 60

# What may be run read-only and still has to write somewhere says where: a volume or a tmpfs.
ONE_SHOTS = {"migrate", "company"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_it_is_valid_by_the_compose_specification() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_itself_can_read_it() -> None:
    plugin = ["docker", "compose"]
    command = plugin if _runs([*plugin, "version"]) else ["docker-compose"]
    if not _runs([*command, "version"]):
        pytest.skip("docker compose is not here; the schema is checked without it")
    done = subprocess.run(
        [*command, "--file", str(COMPOSE), "config", "--quiet"],
        env={**os.environ, "TALLYGATE_UID": "1000", "TALLYGATE_GID": "1000"},
        capture_output=True,
        text=True,
        check=False,
        timeout=CONFIG_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr


def _runs(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False, timeout=CONFIG_TIMEOUT_S).returncode == 0


def test_it_holds_the_whole_way(services: dict[str, dict[str, Any]]) -> None:
    assert {"broker", "database", "migrate", "ingest", "jobs", "api", "edge", "reader"} <= set(services)


def test_every_image_is_pinned_to_a_release(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in services.values()}
    froms = re.findall(r"^FROM (\S+)", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    for image in images | set(froms):
        assert re.search(r":\d+\.\d+\.\d+", image), image


def test_nothing_runs_as_root_or_writes_its_image(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["user"] == "postgres" or service["user"].startswith("${TALLYGATE_UID:?"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
    assert re.findall(r"^USER (\S+)", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE) == ["10001:10001"]


def test_what_runs_on_has_a_health_check_and_starts_again(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name not in ONE_SHOTS:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_health_checks_of_ours_exist(services: dict[str, dict[str, Any]]) -> None:
    ours = [service["healthcheck"]["test"] for service in services.values() if "healthcheck" in service]
    checks = {test[4] for test in ours if test[1:4] == ["python", "-m", "standalone.healthy"]}
    assert checks
    assert checks <= set(CHECKS)


def test_every_service_waits_for_what_it_needs(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"
            assert how == {"condition": expected}, f"{name} → {needed}"


def test_no_password_stands_in_it(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|DSN|SECRET|KEY", variable) and not variable.endswith("AUTH_METHOD"):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"


def test_every_secret_that_is_read_is_given_and_no_other(
    services: dict[str, dict[str, Any]], compose: dict[str, Any]
) -> None:
    read_by_file = {"broker": "docker/mosquitto.conf", "edge": "docker/gateway.toml"}
    for name, service in services.items():
        read = " ".join(str(value) for value in service.get("environment", {}).values())
        if name in read_by_file:
            read += (CHECKOUT / read_by_file[name]).read_text()
        expected = set(re.findall(r"/run/secrets/([\w-]+)", read))
        if name == "migrate":
            expected |= set(SERVICE_ROLES)  # named by the folder, `--service-passwords /run/secrets`
        assert set(service.get("secrets", [])) == expected, name
        assert expected <= set(compose["secrets"]), name


def test_only_the_services_addresses_of_this_machine_are_published(services: dict[str, dict[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    for port in published:
        assert re.fullmatch(r"\$\{TALLYGATE_\w+:-127\.0\.0\.1:(\d+)\}:\1", port), port
    assert "ports" not in services["database"]


def test_tallygate_secrets_makes_every_file_that_is_mounted(compose: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    assert make_secrets(["--folder", str(tmp_path / "secrets"), "--certificate", "broker"]) == 0
    for secret in compose["secrets"].values():
        assert (tmp_path / secret["file"]).is_file(), secret["file"]
    environment = (tmp_path / ".env").read_text()
    assert re.search(r"^TALLYGATE_UID=[1-9]\d*$", environment, re.MULTILINE)


def test_configuration_files_are_there(compose: dict[str, Any]) -> None:
    for config in _own_files(compose):
        assert (CHECKOUT / config["file"]).is_file(), config["file"]


def _own_files(compose: dict[str, Any]) -> list[dict[str, str]]:
    """The configs with the default of a variable put in its place."""
    return [
        {"file": re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", config["file"])} for config in compose["configs"].values()
    ]


def test_every_verb_exists(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        if service["image"].startswith("tallygate:") and "entrypoint" not in service:
            assert service["command"][0] in tallygate.VERBS
    image = (CHECKOUT / "pyproject.toml").read_text()
    assert all(service["image"].split(":")[1] in image for service in services.values() if "build" in service)


def test_the_gateways_settings_can_be_read_and_fit_the_others(services: dict[str, dict[str, Any]]) -> None:
    settings = load_settings(CHECKOUT / "docker" / "gateway.toml")
    assert settings.broker.host in services
    assert settings.broker.ca_file is not None
    for portal in settings.portals:
        assert portal.host in services
        assert f"0.0.0.0:{portal.port}" in services[portal.host]["command"]
    volumes = [volume.split(":")[1] for volume in services["edge"]["volumes"]]
    assert any(settings.outbox.is_relative_to(folder) for folder in volumes)


def test_the_brokers_settings_are_those_of_the_tests() -> None:
    """standalone/mosquitto.py is tried by every broker test; compose's broker must not drift from it."""
    configured = (CHECKOUT / "docker" / "mosquitto.conf").read_text().splitlines()
    assert set(mosquitto.SETTINGS.splitlines()) <= set(configured)


def test_the_image_gets_what_its_build_copies_and_no_secrets() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    let_through = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert "*" in let_through
    for name in " ".join(copied).split():
        assert f"!{name}" in let_through, name
    assert {line[1:] for line in let_through if line.startswith("!")} == set(" ".join(copied).split())
