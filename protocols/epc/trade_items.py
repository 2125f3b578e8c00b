"""Trade items: SGTIN (a piece), ITIP (a part of a piece), and by URI only LGTIN (a lot) and UPUI (a tobacco pack).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.1, 6.3.12, 6.3.14, 6.4.1 (URIs), 7 (keys), 14.6.1 (SGTIN)
and 14.6.14 (ITIP). The hot path for SGTIN-96 stands in `protocols/epc/sgtin.py`.
"""

from protocols.epc.coding_methods import Integer, Padded, Text, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, digits, keyed, text
from protocols.epc.scheme import Scheme

_REFERENCE = digits("an indicator and item reference", 1, 7)
_TOGETHER = (13, 13)


def _gtin(prefix: str, reference: str) -> str:
    """GTIN-14: indicator, company prefix, item reference, check digit."""
    return keyed(reference[0] + prefix + reference[1:])


def _of_gtin(gtin: str, prefix_digits: int) -> Components:
    return gtin[1 : 1 + prefix_digits], gtin[:1] + gtin[1 + prefix_digits : 13]


def _to_values(components: Components) -> Values:
    prefix, reference, serial = components
    return _gtin(prefix, reference), serial


def _of_values(values: Values, prefix_digits: int) -> Components:
    return *_of_gtin(values[0], prefix_digits), values[1]


def _itip_to_values(components: Components) -> Values:
    prefix, reference, piece, total, serial = components
    return _gtin(prefix, reference) + piece + total, serial


def _itip_of_values(values: Values, prefix_digits: int) -> Components:
    itip, serial = values
    return *_of_gtin(itip[:14], prefix_digits), itip[14:16], itip[16:], serial


def _serialised(urn: str, ai: str, name: str, longest: int) -> Identity:
    return Identity(
        urn=urn,
        components=(PREFIX, _REFERENCE, text(name, longest)),
        together=_TOGETHER,
        ais=("01", ai),
        to_values=_to_values,
        of_values=_of_values,
    )


SGTIN = _serialised("urn:epc:id:sgtin", "21", "a serial number", 20)
LGTIN = _serialised("urn:epc:class:lgtin", "10", "a lot number", 20)
UPUI = _serialised("urn:epc:id:upui", "235", "a third party's serial number", 28)
ITIP = Identity(
    urn="urn:epc:id:itip",
    components=(PREFIX, _REFERENCE, digits("a piece", 2, 2), digits("a total", 2, 2), text("a serial number", 20)),
    together=_TOGETHER,
    ais=("8006", "21"),
    to_values=_itip_to_values,
    of_values=_itip_of_values,
)
IDENTITIES = (SGTIN, ITIP, LGTIN, UPUI)

_GTIN = partition(
    "an indicator and item reference", Padded, [(4, 1), (7, 2), (10, 3), (14, 4), (17, 5), (20, 6), (24, 7)]
)
_PIECES = (Padded("a piece", 7, 2), Padded("a total", 7, 2))
_NUMBER = Integer("a serial number", 38, 12)
_TEXT = Text("a serial number", 140, 20)

SCHEMES = (
    Scheme("sgtin-96", 0x30, SGTIN, (_GTIN, _NUMBER)),
    Scheme("sgtin-198", 0x36, SGTIN, (_GTIN, _TEXT)),
    Scheme("itip-110", 0x40, ITIP, (_GTIN, *_PIECES, _NUMBER)),
    Scheme("itip-212", 0x41, ITIP, (_GTIN, *_PIECES, _TEXT)),
)
