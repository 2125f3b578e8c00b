"""Assets: GRAI (a returnable one: crate, keg, roll container) and GIAI (an individual one: machine, wagon).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.4, 6.3.5 (URIs), 7 (keys), 14.6.4 (GRAI), 14.6.5 (GIAI).
"""

from protocols.epc.coding_methods import Integer, Padded, Text, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, digits, keyed, text
from protocols.epc.scheme import Scheme


def _grai_to_values(components: Components) -> Values:
    prefix, kind, serial = components
    return (f"0{keyed(prefix + kind)}{serial}",)


def _grai_of_values(values: Values, prefix_digits: int) -> Components:
    key = values[0][1:]
    return key[:prefix_digits], key[prefix_digits:12], key[13:]


def _giai_to_values(components: Components) -> Values:
    return ("".join(components),)


def _giai_of_values(values: Values, prefix_digits: int) -> Components:
    return values[0][:prefix_digits], values[0][prefix_digits:]


GRAI = Identity(
    urn="urn:epc:id:grai",
    components=(PREFIX, digits("an asset type", 0, 6), text("a serial number", 16)),
    together=(12, 12),
    ais=("8003",),
    to_values=_grai_to_values,
    of_values=_grai_of_values,
)
GIAI = Identity(
    urn="urn:epc:id:giai",
    components=(PREFIX, text("an asset reference", 24)),
    together=(7, 30),
    ais=("8004",),
    to_values=_giai_to_values,
    of_values=_giai_of_values,
)
IDENTITIES = (GRAI, GIAI)

_GRAI = partition("an asset type", Padded, [(4, 0), (7, 1), (10, 2), (14, 3), (17, 4), (20, 5), (24, 6)])
_GIAI_96 = partition(
    "an asset reference", Integer, [(42, 13), (45, 14), (48, 15), (52, 16), (55, 17), (58, 18), (62, 19)]
)
# More bits than the characters need: what is left of them is zero.
_GIAI_202 = partition(
    "an asset reference", Text, [(148, 18), (151, 19), (154, 20), (158, 21), (161, 22), (164, 23), (168, 24)]
)

SCHEMES = (
    Scheme("grai-96", 0x33, GRAI, (_GRAI, Integer("a serial number", 38, 12))),
    Scheme("grai-170", 0x37, GRAI, (_GRAI, Text("a serial number", 112, 16))),
    Scheme("giai-96", 0x34, GIAI, (_GIAI_96,)),
    Scheme("giai-202", 0x38, GIAI, (_GIAI_202,)),
)
