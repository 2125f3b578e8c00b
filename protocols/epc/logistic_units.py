"""Logistic units: SSCC (a pallet, a parcel), and by URI only GINC (a consignment) and GSIN (a shipment).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.2, 6.3.10, 6.3.11 (URIs), 7 (keys), 14.6.2 (SSCC).
"""

from protocols.epc.coding_methods import Padded, Zeros, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, digits, keyed, text
from protocols.epc.scheme import Scheme

_SERIAL = "an extension digit and serial reference"


def _sscc_to_values(components: Components) -> Values:
    prefix, serial = components
    return (keyed(serial[0] + prefix + serial[1:]),)


def _sscc_of_values(values: Values, prefix_digits: int) -> Components:
    (sscc,) = values
    return sscc[1 : 1 + prefix_digits], sscc[:1] + sscc[1 + prefix_digits : 17]


def _ginc_to_values(components: Components) -> Values:
    return ("".join(components),)


def _ginc_of_values(values: Values, prefix_digits: int) -> Components:
    return values[0][:prefix_digits], values[0][prefix_digits:]


def _gsin_to_values(components: Components) -> Values:
    return (keyed("".join(components)),)


def _gsin_of_values(values: Values, prefix_digits: int) -> Components:
    return values[0][:prefix_digits], values[0][prefix_digits:16]


SSCC = Identity(
    urn="urn:epc:id:sscc",
    components=(PREFIX, digits(_SERIAL, 5, 11)),
    together=(17, 17),
    ais=("00",),
    to_values=_sscc_to_values,
    of_values=_sscc_of_values,
)
GINC = Identity(
    urn="urn:epc:id:ginc",
    components=(PREFIX, text("a consignment reference", 24)),
    together=(7, 30),
    ais=("401",),
    to_values=_ginc_to_values,
    of_values=_ginc_of_values,
)
GSIN = Identity(
    urn="urn:epc:id:gsin",
    components=(PREFIX, digits("a shipper reference", 4, 10)),
    together=(16, 16),
    ais=("402",),
    to_values=_gsin_to_values,
    of_values=_gsin_of_values,
)
IDENTITIES = (SSCC, GINC, GSIN)

_SSCC = partition(_SERIAL, Padded, [(18, 5), (21, 6), (24, 7), (28, 8), (31, 9), (34, 10), (38, 11)])

SCHEMES = (Scheme("sscc-96", 0x31, SSCC, (_SSCC, Zeros(24))),)
