"""Who serves and who is served: GSRN (the recipient of a service) and GSRNP (its provider).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3.6, 6.3.7 (URIs), 7 (keys), 14.6.6 and 14.6.7.
"""

from protocols.epc.coding_methods import Padded, Zeros, partition
from protocols.epc.identity import PREFIX, Components, Identity, Values, digits, keyed
from protocols.epc.scheme import Scheme


def _to_values(components: Components) -> Values:
    return (keyed("".join(components)),)


def _of_values(values: Values, prefix_digits: int) -> Components:
    return values[0][:prefix_digits], values[0][prefix_digits:17]


def _identity(urn: str, ai: str) -> Identity:
    return Identity(
        urn=urn,
        components=(PREFIX, digits("a service reference", 5, 11)),
        together=(17, 17),
        ais=(ai,),
        to_values=_to_values,
        of_values=_of_values,
    )


GSRN = _identity("urn:epc:id:gsrn", "8018")
GSRNP = _identity("urn:epc:id:gsrnp", "8017")
IDENTITIES = (GSRN, GSRNP)

_GSRN = partition("a service reference", Padded, [(18, 5), (21, 6), (24, 7), (28, 8), (31, 9), (34, 10), (38, 11)])

SCHEMES = (
    Scheme("gsrn-96", 0x2D, GSRN, (_GSRN, Zeros(24))),
    Scheme("gsrnp-96", 0x2E, GSRNP, (_GSRN, Zeros(24))),
)
