"""EPCs that are no GS1 keys: GID, USDOD, ADI (aircraft parts), and by URI only BIC (containers), IMOVN (ships).

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6.3 (URIs: GID, USDOD, ADI, BIC, IMOVN), 14.6 (their coding
tables), Annex G (six bits a character). Whether a container's check digit (ISO 6346) or a ship's is right is left
to their registers, as the standard's grammar leaves it.
"""

from protocols.epc.coding_methods import Cage, Integer, SixBitText
from protocols.epc.identity import Identity, component, number
from protocols.epc.scheme import Scheme

_CAGE = component("a CAGE code of 5 or a DoDAAC of 6 characters 0-9 A-Z without I and O", r"[0-9A-HJ-NP-Z]{5,6}")

GID = Identity(
    urn="urn:epc:id:gid",
    components=(
        number("a general manager number", 2**28 - 1),
        number("an object class", 2**24 - 1),
        number("a serial number", 2**36 - 1),
    ),
)
USDOD = Identity(urn="urn:epc:id:usdod", components=(_CAGE, number("a serial number", 2**36 - 1)))
ADI = Identity(
    urn="urn:epc:id:adi",
    components=(
        _CAGE,
        component("a part number of at most 32 characters A-Z 0-9 - /", r"[A-Z0-9/-]{0,32}"),
        component(
            "a serial number of 1 to 30 characters A-Z 0-9 - /, after a # where the end user assigned it",
            r"(?=.{1,30}\Z)#?[A-Z0-9/-]+",
        ),
    ),
)
BIC = Identity(
    urn="urn:epc:id:bic",
    components=(
        component(
            "a container code: owner of 3 letters without I and O, J, U or Z, 7 digits",
            r"[A-HJ-NP-Z]{3}[JUZ]\d{7}",
        ),
    ),
)
IMOVN = Identity(urn="urn:epc:id:imovn", components=(component("a ship's number of 7 digits", r"\d{7}"),))
IDENTITIES = (GID, USDOD, ADI, BIC, IMOVN)

_GID = (
    Integer("a general manager number", 28, 9),
    Integer("an object class", 24, 8),
    Integer("a serial number", 36, 11),
)
_ADI = (Cage(6), SixBitText("a part number", 32), SixBitText("a serial number", 30))

SCHEMES = (
    Scheme("gid-96", 0x35, GID, _GID, filter_bits=0),
    Scheme("usdod-96", 0x2F, USDOD, (Cage(8), Integer("a serial number", 36, 11)), filter_bits=4),
    Scheme("adi-var", 0x3B, ADI, _ADI, filter_bits=6),
)
