"""Places and parties: SGLN (a place, or a spot of it), and by URI only PGLN (a party).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.3, 6.3.15 (URIs), 7 (keys), 14.6.3 (SGLN). A place without
extension has the extension "0".
"""

from protocols.epc.coding_methods import Integer, Padded, Text, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, digits, keyed, text
from protocols.epc.scheme import Scheme

_TOGETHER = (12, 12)


def _sgln_to_values(components: Components) -> Values:
    prefix, reference, extension = components
    return keyed(prefix + reference), extension


def _sgln_of_values(values: Values, prefix_digits: int) -> Components:
    gln, extension = values
    return gln[:prefix_digits], gln[prefix_digits:12], extension


def _pgln_to_values(components: Components) -> Values:
    return (keyed("".join(components)),)


def _pgln_of_values(values: Values, prefix_digits: int) -> Components:
    return values[0][:prefix_digits], values[0][prefix_digits:12]


SGLN = Identity(
    urn="urn:epc:id:sgln",
    components=(PREFIX, digits("a location reference", 0, 6), text("an extension", 20)),
    together=_TOGETHER,
    ais=("414", "254"),
    to_values=_sgln_to_values,
    of_values=_sgln_of_values,
    optional=(("254", "0"),),
)
PGLN = Identity(
    urn="urn:epc:id:pgln",
    components=(PREFIX, digits("a party reference", 0, 6)),
    together=_TOGETHER,
    ais=("417",),
    to_values=_pgln_to_values,
    of_values=_pgln_of_values,
)
IDENTITIES = (SGLN, PGLN)

_GLN = partition("a location reference", Padded, [(1, 0), (4, 1), (7, 2), (11, 3), (14, 4), (17, 5), (21, 6)])

SCHEMES = (
    Scheme("sgln-96", 0x32, SGLN, (_GLN, Integer("an extension", 41, 13))),
    Scheme("sgln-195", 0x39, SGLN, (_GLN, Text("an extension", 140, 20))),
)
