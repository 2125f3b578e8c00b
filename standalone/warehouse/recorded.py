"""Recorded reads as the demo's goods: every tag of the recording is bound to an article for the occasion.

Nobody knows any more what the recorded tags were on. Bound to the demo's articles in turn (by their EPC, so
that a second run binds alike), their crossings move goods; nobody expects them, so they move into and out of
clarification. The tags say so themselves: their binding is made up.
"""

import hashlib
from pathlib import Path

import psycopg

from cloud.domain.catalog import BoundTag, WrongMasterData, check_epc
from cloud.domain.movement import MICRO
from cloud.store import master
from firmware_bridges.virtual_reader.messages import Device
from firmware_bridges.virtual_reader.recording import Recording
from standalone.warehouse.prepare import description

MOST_TAGS = 100_000  # a recording is played, not migrated; beyond this the file is something else


class TooManyTags(ValueError):
    """The recording holds more tags than a demo binds."""


def prepare_recording(connection: psycopg.Connection, reads: Path, catalogue: Path | None = None) -> int:
    """Bind the recording's tags in the demo's company; how many there are.

    Raises UnreadableRecording, TooManyTags, OSError, psycopg.Error.
    """
    epcs = _distinct_epcs(reads)
    company = master.find_company(connection, description(catalogue).settings.code)
    if company is None:
        raise LookupError("the demo's company is not set up")
    items = sorted(master.item_ids(connection, company.company_id))
    tags = [BoundTag(epc, items[_number(epc) % len(items)], MICRO) for epc in epcs]
    with connection.transaction():
        master.put_tags(connection, company.company_id, tags)
    return len(tags)


def _distinct_epcs(reads: Path) -> list[str]:
    found: set[str] = set()
    for sighting in Recording(reads, Device().channels_khz):
        epc = sighting.epc
        if epc in found:
            continue
        try:
            check_epc(epc)
        except WrongMasterData:
            continue  # no whole words: the portal counts and names it, and no tag can be bound to it
        found.add(epc)
        if len(found) > MOST_TAGS:
            raise TooManyTags(f"{reads}: expected at most {MOST_TAGS} different tags")
    return sorted(found)


def _number(epc: str) -> int:
    return int.from_bytes(hashlib.sha256(epc.encode()).digest()[:4], "big")
