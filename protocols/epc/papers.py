"""Documents and coupons: GDTI (a paper with a number) and SGCN (a coupon with a number).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.8, 6.3.13 (URIs), 7 (keys), 14.6.8 (GDTI), 14.6.12 (SGCN);
GDTI-113: TDS 1.8, section 14.5.8.2. Table 14-1 keeps its header, deprecated since TDS 1.9: it is read, and written
only where somebody asks for it by name.
"""

from protocols.epc.coding_methods import Integer, NumericString, Padded, Text, partition
from protocols.epc.identity import PREFIX, Component, Components, Identity, Values, digits, keyed, text
from protocols.epc.scheme import Scheme


def _to_values(components: Components) -> Values:
    prefix, reference, serial = components
    return (keyed(prefix + reference) + serial,)


def _of_values(values: Values, prefix_digits: int) -> Components:
    key = values[0]
    return key[:prefix_digits], key[prefix_digits:12], key[13:]


def _identity(urn: str, ai: str, reference: str, serial: Component) -> Identity:
    return Identity(
        urn=urn,
        components=(PREFIX, digits(reference, 0, 6), serial),
        together=(12, 12),
        ais=(ai,),
        to_values=_to_values,
        of_values=_of_values,
    )


GDTI = _identity("urn:epc:id:gdti", "253", "a document type", text("a serial number", 17))
SGCN = _identity("urn:epc:id:sgcn", "255", "a coupon reference", digits("a serial number", 1, 12))
IDENTITIES = (GDTI, SGCN)

_REFERENCE = [(1, 0), (4, 1), (7, 2), (11, 3), (14, 4), (17, 5), (21, 6)]
_GDTI = partition("a document type", Padded, _REFERENCE)
_SGCN = partition("a coupon reference", Padded, _REFERENCE)

GDTI_113 = Scheme("gdti-113", 0x3A, GDTI, (_GDTI, NumericString("a serial number", 58, 17)))
SCHEMES = (
    Scheme("gdti-96", 0x2C, GDTI, (_GDTI, Integer("a serial number", 41, 13))),
    Scheme("gdti-174", 0x3E, GDTI, (_GDTI, Text("a serial number", 119, 17))),
    Scheme("sgcn-96", 0x3F, SGCN, (_SGCN, NumericString("a serial number", 41, 12))),
)
