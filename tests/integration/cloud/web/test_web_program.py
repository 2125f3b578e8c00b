"""`tallygate api` as a process: shows the first key once, ends cleanly, says what is wrong."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cloud.domain.company import CompanySettings
from cloud.flows.set_up_company import set_up_company
from standalone.ports import free_port

ROOT = Path(__file__).parents[4]
DEADLINE_S = 60.0


class Program:
    """The program with its output in a file, so that no pipe fills up."""

    def __init__(self, folder: Path, dsn: str, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        self.output = folder / f"{self.port}.out"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tallygate", "api", *arguments],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {"TALLYGATE_DSN": dsn, "TALLYGATE_API_LISTEN": f"127.0.0.1:{self.port}"}
                | environment,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, once it is in the output."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := re.search(pattern, self.text())) is None:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)
        return found[1]

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200
            except httpx.TransportError:
                assert self.process.poll() is None, self.text()
                assert time.monotonic() < deadline, self.text()
                time.sleep(0.05)
            else:
                return

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def test_the_first_key_is_shown_once_and_sigterm_ends_it_cleanly(database: Any, dsn: str, tmp_path: Path) -> None:
    api_dsn = database.dsn_of("tallygate_api")
    program = Program(tmp_path, api_dsn)
    try:
        program.wait_until_it_answers()  # before there is a company; the key comes when there is one
        with psycopg.connect(dsn, autocommit=True) as owner:
            set_up_company(owner, CompanySettings("demo", "Demo", "CNY", "Asia/Shanghai", "ASBE"))
        key = program.wait_for(r"(tg_[0-9a-f]{12}_[0-9a-f]{64})")
        password = program.wait_for(r"as admin with the password \(shown once\) (\S+)")
        address = f"http://127.0.0.1:{program.port}"
        me = httpx.get(f"{address}/v1/me", headers={"Authorization": f"Bearer {key}"})
        assert me.json()["scopes"] == ["admin"]
        with httpx.Client(base_url=address) as browser:
            token = browser.get("/sign-in").text.split('name="token" value="')[1][:64]
            form = {"name": "admin", "password": password, "token": token}
            assert browser.post("/sign-in", data=form).headers["Location"] == "/"
    finally:
        assert program.end() == 0
    again = Program(tmp_path, api_dsn)
    again.wait_until_it_answers()
    assert again.end(signal.SIGINT) == 0
    assert "tg_" not in again.text()
    assert "Traceback" not in program.text() + again.text()


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"TALLYGATE_DSN": ""}, "TALLYGATE_DSN"),
        ({"TALLYGATE_API_LISTEN": "127.0.0.1:http"}, "TALLYGATE_API_LISTEN"),
        ({"TALLYGATE_API_PROXIES": "proxy.example"}, "TALLYGATE_API_PROXIES"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], complaint: str, tmp_path: Path) -> None:
    program = Program(tmp_path, "host=127.0.0.1", **environment)
    assert program.process.wait(DEADLINE_S) == 2
    assert complaint in program.text()
    assert "Traceback" not in program.text()


def test_an_address_that_is_taken_is_an_error_and_no_hang(database: Any, tmp_path: Path) -> None:
    first = Program(tmp_path, database.dsn_of("tallygate_api"))
    try:
        first.wait_until_it_answers()
        second = Program(tmp_path, database.dsn_of("tallygate_api"), "--listen", f"127.0.0.1:{first.port}")
        assert second.process.wait(DEADLINE_S) == 1
        assert "address already in use" in second.text()
    finally:
        assert first.end() == 0
