"""EPC memory in, its meaning out, and back: the header byte says which scheme's file reads the rest.

Source: GS1 EPC Tag Data Standard (TDS) 2.1 and 2.3, table 14-1 (headers), sections 14.3, 14.4 (encoding, decoding),
15.2 (what cannot be decoded: EPC raw URI).

`decode` never raises over what a tag holds: what it refuses, and why, it says in `Decoded.error`. What no scheme
claims is unknown memory: factory memory that begins with the E2 of a chip's TID, unprogrammed memory of zeros,
headers that the standard reserves. `encode` raises WrongEpc.
"""

import re
from collections.abc import Callable
from contextlib import suppress

from protocols.epc import (
    assets,
    component_parts,
    gs1_plus,
    locations,
    logistic_units,
    other_registers,
    papers,
    service_relations,
    sgtin,
    trade_items,
)
from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus_text import element_string, elements_of
from protocols.epc.identity import Identity, digital_link
from protocols.epc.scheme import HEADER_BITS, TAG_URN, Scheme

_FAMILIES = (
    trade_items, logistic_units, locations, assets, service_relations, papers, component_parts, other_registers,
)  # fmt: skip
# By identity the shortest scheme stands first: it is taken where nobody asks for another and it can carry the key.
SCHEMES: tuple[Scheme, ...] = tuple(scheme for family in _FAMILIES for scheme in family.SCHEMES)
IDENTITIES: tuple[Identity, ...] = tuple(identity for family in _FAMILIES for identity in family.IDENTITIES)
_BY_NAME = {scheme.name: scheme for scheme in (*SCHEMES, papers.GDTI_113)}
SCHEME_NAMES = (*_BY_NAME, *(scheme.name for scheme in gs1_plus.SCHEMES.values()))
_BY_URN = {identity.urn: identity for identity in IDENTITIES}

# bits of memory and how many there are → what they mean, or WrongEpc
Reader = Callable[[int, int], Decoded]
_READERS: dict[int, Reader] = {scheme.header: scheme.decode for scheme in _BY_NAME.values()}
_READERS |= dict.fromkeys(gs1_plus.SCHEMES, gs1_plus.decode_plus)

UNPROGRAMMED, TID = 0x00, 0xE2  # headers of table 14-1 that no scheme will ever have
_NOTES = {UNPROGRAMMED: "unprogrammed", TID: "factory memory, which begins like a chip's TID"}
_HEX = re.compile(r"[0-9A-Fa-f]+")
RAW_URN = "urn:epc:raw:"
_RAW = re.compile(rf"{RAW_URN}([1-9][0-9]{{0,3}})\.x([0-9A-Fa-f]+)")
_SGTIN_96 = f"{sgtin.HEADER:02X}"


def decode(epc_hex: str) -> Decoded:
    """What the hex digits of EPC memory say; `error` where the standard lets them say nothing."""
    try:
        return _decode(epc_hex)
    except WrongEpc as wrong:
        return Decoded(hex=epc_hex, error=str(wrong))


def _decode(epc_hex: str) -> Decoded:
    if not _HEX.fullmatch(epc_hex):
        raise WrongEpc(f"expected hex digits, got {epc_hex!r}" if epc_hex else "expected hex digits, got none")
    memory, length = epc_hex.upper(), 4 * len(epc_hex)
    if length < HEADER_BITS:
        raise WrongEpc(f"expected the two hex digits of a header, got {epc_hex!r}")
    header = int(memory[:2], 16)
    if header in _NOTES:
        raw = f"{RAW_URN}{length}.x{memory}" if length % 16 == 0 else None
        return Decoded(hex=memory, tag_uri=raw, error=f"unknown: {_NOTES[header]}")
    if header not in _READERS:
        raise WrongEpc(f"unknown: expected the header of a scheme, got {header:02X}, which is reserved")
    return _READERS[header](int(memory, 16), length)


def gtin_of(epc_hex: str) -> str | None:
    """The GTIN-14 of the one piece that this tag stands on; None where it is no trade item's tag.

    Read from SGTIN-96, SGTIN-198, SGTIN+, SGTIN++, DSGTIN+ and DSGTIN++, and from an ITIP whose total is one piece.
    The tags of a piece in several parts (ITIP 1 of 2, 2 of 2) each stand for less than the piece: None, or it
    would be counted as often as it has parts.
    """
    if epc_hex.startswith(_SGTIN_96):
        if len(epc_hex) == sgtin.HEX_DIGITS:
            return sgtin.gtin_of(epc_hex)
    elif epc_hex[:2].upper() not in _TRADE_ITEM_HEADERS:
        return None
    elements = decode(epc_hex).element_string or ""
    if elements.startswith("(01)"):
        return elements[4:18]
    if elements.startswith("(8006)") and elements[20:24] == "0101":
        return elements[6:20]
    return None


_TRADE_ITEM_HEADERS = {f"{scheme.header:02X}" for scheme in trade_items.SCHEMES} | {
    f"{header:02X}" for header, scheme in gs1_plus.SCHEMES.items() if scheme.ais[0] in ("01", "8006")
}


def read_uri(uri: str) -> Decoded:
    """What a pure identity EPC URI, or a class's, names, without any tag: `hex` is empty. Raises WrongEpc."""
    identity, components = _read_pure(uri)
    elements = identity.elements(components)
    return Decoded(
        hex="",
        epc_uri=f"{identity.urn}:{identity.body(components)}",
        element_string=element_string(elements) if elements else None,
        digital_link=digital_link(elements) if elements else None,
    )


def encode(
    text: str,
    *,
    scheme: str | None = None,
    filter_value: int | None = None,
    prefix_digits: int | None = None,
) -> str:
    """The hex digits of memory, in whole words of 16 bits, that carry what `text` names.

    text           an EPC tag URI, EPC URI, raw URI, GS1 element string with brackets, or GS1 Digital Link URI
    scheme         one of SCHEME_NAMES; None: the shortest that can carry it
    filter_value   None: the tag URI's, else 0 (all others)
    prefix_digits  of the company prefix, which element strings and Digital Links do not tell; None: a + or ++
                   scheme, which does not need it

    Raises WrongEpc with the reason.
    """
    name = None if scheme is None else scheme.lower()
    if name is not None and name not in SCHEME_NAMES:
        raise WrongEpc(f"expected one of {', '.join(SCHEME_NAMES)} as scheme, got {scheme!r}")
    if text.startswith(TAG_URN):
        return _encode_tag_uri(text, name, filter_value)
    if text.startswith(RAW_URN):
        return _encode_raw(text)
    if text.startswith("urn:epc:"):
        identity, components = _read_pure(text)
        if name is not None and name.endswith("+"):
            return gs1_plus.encode_plus(_elements_text(identity, components), name, filter_value)
        return _encode(identity, components, name, filter_value or 0)
    if name is not None and not name.endswith("+") and prefix_digits is None:
        raise WrongEpc(f"expected the number of digits of the company prefix for {name}, got none")
    if prefix_digits is None or (name is not None and name.endswith("+")):
        return gs1_plus.encode_plus(text, name, filter_value)
    elements, _ = elements_of(text)
    ais = {ai for ai, _ in elements}
    found = [one for one in IDENTITIES if one.ais and one.ais[0] in ais and ais <= set(one.ais)]
    if not found:
        raise WrongEpc(f"expected the AIs of one key that a classic scheme carries, got {', '.join(sorted(ais))}")
    return _encode(found[0], found[0].of_elements(elements, prefix_digits), name, filter_value or 0)


def memories_of(uri: str) -> tuple[str, ...]:
    """Every memory that a tag may hold of what an EPC URI or tag URI names, in the classic schemes and raw.

    A pure identity says nothing of filter value and scheme: there is a memory for each. Raises WrongEpc.
    """
    if uri.startswith((TAG_URN, RAW_URN)):
        return (encode(uri),)
    identity, components = _read_pure(uri)
    memories = []
    for scheme in _BY_NAME.values():
        if scheme.identity is identity:
            with suppress(WrongEpc):  # a serial number that this scheme cannot carry
                memories += [scheme.encode(components, one) for one in range(2**scheme.filter_bits)]
    if not memories:
        raise WrongEpc(f"expected an identity that a tag can carry, got {uri!r}, which has no tag encoding")
    return tuple(memories)


def _encode_tag_uri(uri: str, name: str | None, filter_value: int | None) -> str:
    named, _, body = uri.removeprefix(TAG_URN).partition(":")
    if named not in _BY_NAME:
        raise WrongEpc(f"expected a scheme that has tag URIs, got {named!r} in {uri!r}")
    if name not in (None, named):
        raise WrongEpc(f"expected a tag URI of {name}, got {uri!r}")
    components, its_filter = _BY_NAME[named].read_tag_uri(body)
    if filter_value not in (None, its_filter):
        raise WrongEpc(f"expected the filter value of the tag URI, {its_filter}, got {filter_value}")
    return _BY_NAME[named].encode(components, its_filter)


def _encode_raw(uri: str) -> str:
    found = _RAW.fullmatch(uri)
    if not found or int(found[1]) != 4 * len(found[2]) or int(found[1]) % 16:
        raise WrongEpc(
            f"expected urn:epc:raw:, a whole number of 16-bit words, .x and as many hex digits, got {uri!r}"
        )
    return found[2].upper()


def _encode(identity: Identity, components: tuple[str, ...], name: str | None, filter_value: int) -> str:
    schemes = [one for one in SCHEMES if one.identity is identity]
    if not schemes:
        raise WrongEpc(f"expected an identity that a tag can carry, got {identity.urn}, which has no tag encoding")
    if name is not None:
        if _BY_NAME[name].identity is not identity:
            raise WrongEpc(f"expected {_BY_NAME[name].identity.urn} for {name}, got {identity.urn}")
        schemes = [_BY_NAME[name]]
    for scheme in schemes[:-1]:
        try:
            return scheme.encode(components, filter_value)
        except WrongEpc:
            continue  # a serial number that needs the longer scheme
    return schemes[-1].encode(components, filter_value)


def _read_pure(uri: str) -> tuple[Identity, tuple[str, ...]]:
    *head, body = uri.split(":", 4)  # a serial number may hold colons
    urn = ":".join(head)
    if urn not in _BY_URN:
        raise WrongEpc(f"expected an EPC URI of a known scheme, got {uri!r}")
    identity = _BY_URN[urn]
    return identity, identity.read_body(body)


def _elements_text(identity: Identity, components: tuple[str, ...]) -> str:
    elements = identity.elements(components)
    if not elements:
        raise WrongEpc(f"expected a GS1 key for a + scheme, got {identity.urn}")
    return element_string(elements)
