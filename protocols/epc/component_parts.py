"""Components and parts: CPI, a part by its maker's part number and serial number.

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.9 (URI), 7 (key), 14.6.10 (CPI-96 and CPI-var), Annex G.
"""

from protocols.epc.coding_methods import Integer, SixBitText, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, number, part_text
from protocols.epc.scheme import Scheme


def _to_values(components: Components) -> Values:
    prefix, reference, serial = components
    return prefix + reference, serial


def _of_values(values: Values, prefix_digits: int) -> Components:
    part, serial = values
    return part[:prefix_digits], part[prefix_digits:], serial


CPI = Identity(
    urn="urn:epc:id:cpi",
    components=(PREFIX, part_text("a part reference", 1, 24), number("a serial number", 10**12 - 1)),
    together=(7, 30),
    ais=("8010", "8011"),
    to_values=_to_values,
    of_values=_of_values,
)
IDENTITIES = (CPI,)

_CPI_96 = partition("a part reference", Integer, [(11, 3), (14, 4), (17, 5), (21, 6), (24, 7), (27, 8), (31, 9)])
_CPI_VAR = partition(
    "a part reference",
    lambda name, _bits, longest: SixBitText(name, longest),
    [(0, longest) for longest in range(18, 25)],
)

SCHEMES = (
    Scheme("cpi-96", 0x3C, CPI, (_CPI_96, Integer("a serial number", 31, 10))),
    Scheme("cpi-var", 0x3D, CPI, (_CPI_VAR, Integer("a serial number", 40, 12))),
)
