"""The demo as a person starts it: a truck is unloaded, everything is shown, and the next run goes on with the books."""

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RUN_S = 150.0
LIVE_S = 60.0


def demo(state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tallygate", "demo", "--state", str(state), "--pace", "1.5", *arguments]


def once(state: Path, *arguments: str) -> dict[str, Any]:
    """One whole run; its JSON."""
    done = subprocess.run(
        demo(state, "--once", "--json", *arguments), cwd=PROJECT, capture_output=True, text=True, timeout=RUN_S
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_truck_is_unloaded_and_the_next_run_goes_on_with_the_books(session_folder: Path) -> None:
    state = session_folder / "demo"
    first = once(state)
    directions = [passage["direction"] for passage in first["passages"]]
    assert {"in", "out", "turned_back"} <= set(directions)
    assert {"moved", "turned_back", "unregistered"} <= {passage["outcome"] for passage in first["passages"]}
    kinds = {movement["kind"] for movement in first["movements"]}
    assert kinds == {"purchase_receipt", "sales_shipment", "transfer_out", "unexplained_in"}
    assert len(first["movements"]) == 56
    assert first["tags_read"]["reads"] > 24 * 50
    assert first["balances"]
    assert first["layers"]
    for entry in first["entries"]:
        debit, credit = (sum(Decimal(line[side]) for line in entry["lines"]) for side in ("debit", "credit"))
        assert debit == credit > 0
    assert first["difference"] == "0"
    assert first["stock_value"] == first["ledger"]
    assert all(check["holds"] for check in first["checks"])

    # A second evening: shown live until Ctrl-C, and gone without a trace but its books.
    live = subprocess.Popen(demo(state), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert live.stdout is not None
    deadline = time.monotonic() + LIVE_S
    seen = []
    for line in live.stdout:
        seen.append(line)
        if "movements" in line and " 0 movements" not in line:
            break
        assert time.monotonic() < deadline, "".join(seen)
    assert any(line.startswith("Run 2:") for line in seen)
    assert any(line.startswith("Live page: http://127.0.0.1:") for line in seen)
    assert "stock value = ledger: difference 0" in seen[-1]
    live.send_signal(signal.SIGINT)
    rest, _ = live.communicate(timeout=LIVE_S)
    assert live.returncode == 0, rest
    assert _programs_of(state) == []

    reads = state / "reads.csv"
    reads.write_text("time,epc,antenna,rssi_dbm\n" + "".join(_a_crossing()))
    third = once(state, "--reads", str(reads))
    assert [(p["epc"], p["direction"], p["outcome"]) for p in third["passages"]] == [
        ("E28000000000000000000777", "in", "moved")
    ]
    assert [movement["kind"] for movement in third["movements"]] == ["unexplained_in"]
    assert third["difference"] == "0"
    assert Decimal(third["stock_value"]) > Decimal(first["stock_value"])


def _a_crossing() -> list[str]:
    """A tag that the outer antenna hears first and the inner one then: 20 reads a second, 3 s, 25 dB of rise."""
    rows = []
    for step in range(60):
        second = step / 20
        for antenna, nearest in ((1, 1.0), (3, 2.0)):
            rssi = -45 - 12 * abs(second - nearest)
            rows.append(f"2026-01-05T08:00:{second:09.6f}+00:00,E28000000000000000000777,{antenna},{rssi:.1f}\n")
    return rows


def _programs_of(state: Path) -> list[str]:
    """Command lines of programs that still run on this state folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has just ended
            if str(state) in line:
                found.append(line)
    return found
