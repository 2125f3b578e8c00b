"""The schema of a passage's evidence, as the gateway sent it: for readers of the API's description.

Evidence is shown as it was kept, byte for byte; gateways of before send only the flat keys, and a reader should
expect keys that are not named here.
"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

_AT_US = {"type": "integer", "description": "Microseconds since 1970-01-01 UTC, the gateway's clock."}
_COUNT = {"type": "integer", "minimum": 0}
_DB = {"type": "number", "description": "Decibels."}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


ANTENNA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What one antenna saw; at most eight stand here, the strongest.",
    "properties": {
        "antenna": {"type": "integer", "minimum": 1},
        "side": {"type": "string", "enum": ["inside", "outside"]},
        "reads": _COUNT,
        "first_us": _AT_US,
        "last_us": _AT_US,
        "peak_us": _AT_US,
        "peak_dbm": {"type": "number"},
        "rise_db": _DB | {"description": "Highest less lowest point of the smoothed RSSI."},
        "course": {
            "type": "array",
            "description": "The smoothed RSSI, at most 16 points in a flat list: milliseconds since first_seen_us "
            "and dBm in turn.",
            "items": {"type": "number"},
        },
        "phase_still": _maybe(
            {"type": "number", "description": "Near 1 the tag stood still, near 0 it moved; null without phase."}
        ),
    },
}
GROUP_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "The vote of the tags that went together.",
    "properties": {
        "crossed_at_us": _AT_US,
        "direction": {"type": "string", "enum": ["in", "out"]},
        "agreeing": _COUNT | {"description": "Tags that crossed this way then."},
        "contrary": _COUNT | {"description": "Tags that crossed the other way then."},
        "moving": _COUNT | {"description": "Tags that moved then, the two included."},
    },
}
EYE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A photo-eye's beam that was broken meanwhile.",
    "properties": {
        "eye": {"type": "string", "enum": ["door", "outside", "inside"]},
        "from_us": _AT_US,
        "until_us": _maybe(_AT_US),
    },
}
EVIDENCE_SCHEMA: dict[str, Any] = {
    "title": "Evidence",
    "type": "object",
    "description": "Why the gateway decided so, as it sent it. Older gateways send the flat keys only.",
    "additionalProperties": True,
    "properties": {
        "order": {
            "type": "number",
            "description": "0 … 1: above ½ the outside saw the tag before the inside, weighted by received power.",
        },
        "rise_outside_db": _DB,
        "rise_inside_db": _DB,
        "reads": _COUNT,
        "reads_outside": _COUNT,
        "reads_inside": _COUNT,
        "first_seen_us": _AT_US,
        "last_seen_us": _AT_US,
        "peak_outside_us": _maybe(_AT_US),
        "peak_inside_us": _maybe(_AT_US),
        "decided_at_us": _AT_US | {"description": "When the decision fell; less last_seen_us, how long it took."},
        "decided_by": {"type": "string", "examples": ["tag", "group", "anchor", "phase", "photo-eye"]},
        "reason": {"type": "string", "description": "A short phrase; `why` says it in a sentence."},
        "antennas": {"type": "array", "items": ANTENNA_SCHEMA},
        "group": _maybe(GROUP_SCHEMA),
        "eyes": {"type": "array", "items": EYE_SCHEMA},
    },
}
EVIDENCE_EXAMPLE: dict[str, Any] = {
    "order": 0.031,
    "rise_outside_db": 14.2,
    "rise_inside_db": 12.7,
    "reads": 41,
    "reads_outside": 19,
    "reads_inside": 22,
    "first_seen_us": 1_790_000_000_000_000,
    "last_seen_us": 1_790_000_004_120_000,
    "peak_outside_us": 1_790_000_003_050_000,
    "peak_inside_us": 1_790_000_001_010_000,
    "decided_by": "tag",
    "reason": "inside before outside",
    "decided_at_us": 1_790_000_007_210_000,
    "antennas": [
        {
            "antenna": 1, "side": "inside", "reads": 22, "first_us": 1_790_000_000_000_000,
            "last_us": 1_790_000_003_020_000, "peak_us": 1_790_000_001_010_000, "peak_dbm": -48.5, "rise_db": 12.7,
            "course": [0, -58.0, 500, -52.4, 1010, -48.5, 1800, -53.9, 3020, -61.2],
            "phase_still": 0.08,
        },
        {
            "antenna": 3, "side": "outside", "reads": 19, "first_us": 1_790_000_000_950_000,
            "last_us": 1_790_000_004_120_000, "peak_us": 1_790_000_003_050_000, "peak_dbm": -47.0, "rise_db": 14.2,
            "course": [950, -61.2, 2100, -54.0, 3050, -47.0, 4120, -55.5],
            "phase_still": 0.11,
        },
    ],
    "group": {
        "crossed_at_us": 1_790_000_002_000_000, "direction": "out", "agreeing": 7, "contrary": 0, "moving": 8,
    },
    "eyes": [{"eye": "door", "from_us": 1_790_000_001_600_000, "until_us": 1_790_000_002_450_000}],
}  # fmt: skip

Evidence = Annotated[Any, WithJsonSchema(EVIDENCE_SCHEMA | {"examples": [EVIDENCE_EXAMPLE]})]
