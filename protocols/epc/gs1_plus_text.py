"""AIs and their values ↔ the two texts that people and programs write them in.

Source: GS1 General Specifications, section 7.8 (element strings); GS1 Digital Link Standard: URI Syntax,
sections 4 and 5.

    (01)09506000134352(21)S1(3103)001250                         an element string
    https://id.gs1.org/01/09506000134352/21/S1?3103=001250       the same as GS1 Digital Link URI

An element string's value may itself hold something like "(10)". Where it does, the bracket is written as "\\(",
a sign that no value may hold; everywhere else a bracket is only a bracket.
"""

import re
from urllib.parse import quote, unquote, urlsplit

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_ai import METHODS, Element

CANONICAL_HOSTNAME = "id.gs1.org"

# Primary key → its key qualifiers in the order of the path; all else is a data attribute after the "?".
QUALIFIERS: dict[str, tuple[str, ...]] = {
    "00": (), "01": ("22", "10", "21"), "253": (), "255": (), "414": ("254",), "8003": (), "8004": ("7040",),
    "8006": ("22", "10", "21"), "8010": ("8011",), "8017": ("8019",), "8018": ("8019",),
}  # fmt: skip

_OPENING = re.compile(r"\((?=\d{2,4}\))")  # a bracket that begins what looks like an AI


def element_string(elements: list[Element]) -> str:
    """The elements with their AIs in brackets, in their order."""
    return "".join(f"({ai})" + _OPENING.sub(r"\\(", value) for ai, value in elements)


def digital_link(elements: list[Element], hostname: str = CANONICAL_HOSTNAME) -> str:
    """The GS1 Digital Link URI of elements that begin with a primary key."""
    values = dict(elements)
    primary = elements[0][0]
    path = [primary, *(ai for ai in QUALIFIERS[primary] if ai in values)]
    attributes = [(ai, value) for ai, value in elements if ai not in path]
    link = f"https://{hostname}" + "".join(f"/{ai}/{quote(values[ai], safe='')}" for ai in path)
    return (
        link + ("?" if attributes else "") + "&".join(f"{ai}={quote(value, safe='')}" for ai, value in attributes)
    )


def elements_of(text: str) -> tuple[list[Element], str | None]:
    """Read an element string or a Digital Link: its elements, and its hostname where it is not GS1's own.

    Raises WrongEpc.
    """
    if text.startswith("("):
        return _read_element_string(text), None
    if text.startswith(("https://", "http://")):
        return _read_digital_link(text)
    raise WrongEpc(f"expected an element string or a Digital Link (a + scheme has no tag URI), got {text!r}")


def _read_element_string(text: str) -> list[Element]:
    parts = re.split(r"(?<!\\)\((\d{2,4})\)", text)
    elements = [(ai, value.replace("\\(", "(")) for ai, value in zip(parts[1::2], parts[2::2], strict=True)]
    if parts[0] or any(not value for _, value in elements):
        raise WrongEpc(f"expected (AI)value after (AI)value, got {text!r}")
    return elements


def _read_digital_link(text: str) -> tuple[list[Element], str | None]:
    try:
        uri = urlsplit(text)
        hostname = uri.netloc
    except ValueError as error:
        raise WrongEpc(f"expected a GS1 Digital Link, got {text!r}: {error}") from error
    elements = [(ai, unquote(value)) for ai, value in _key_path(uri.path, text)]
    if elements[0][0] == "01":  # the standard's older editions let a GTIN stand with 8, 12 or 13 digits
        elements[0] = ("01", elements[0][1].zfill(14))
    for pair in re.split("[&;]", uri.query) if uri.query else ():
        name, _, value = pair.partition("=")
        if name in METHODS:
            elements.append((name, unquote(value)))
        elif name.isdigit():
            raise WrongEpc(f"expected an AI that may stand on a tag, got {name} in {text!r}")
    if hostname.lower() == CANONICAL_HOSTNAME:
        return elements, None
    return elements, hostname


def _key_path(path: str, text: str) -> list[Element]:
    """The AIs and values at the path's end, from the primary key on; what stands before them is the resolver's."""
    segments = path.strip("/").split("/")
    for start in range(len(segments) % 2, len(segments), 2):
        pairs = list(zip(segments[start::2], segments[start + 1 :: 2], strict=True))
        if pairs[0][0] in QUALIFIERS and all(ai in METHODS for ai, _ in pairs):
            return pairs
    raise WrongEpc(f"expected the AI of a GS1 key and its value in the path, got {text!r}")
