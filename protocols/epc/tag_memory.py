"""EPC memory in, its meaning out, and back: the header byte says which scheme's file reads the rest.

Source: GS1 EPC Tag Data Standard 2.1 and 2.3, table 14-1 (headers), sections 14.3 and 14.4 (encoding, decoding).

`decode` never raises over what a tag holds; what it refuses, it says in `Decoded.error`. `encode` raises WrongEpc.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus import SCHEMES as PLUS_SCHEMES
from protocols.epc.gs1_plus import decode_plus, encode_plus

_HEX = re.compile(r"[0-9A-Fa-f]+")

# bits of memory and how many there are → what they mean, or WrongEpc
Reader = Callable[[int, int], Decoded]
READERS: dict[int, Reader] = dict.fromkeys(PLUS_SCHEMES, decode_plus)


def decode(epc_hex: str) -> Decoded:
    """What `epc_hex` says; with `error` where it says nothing that the standard knows."""
    try:
        return _decode(epc_hex)
    except WrongEpc as wrong:
        return Decoded(hex=epc_hex, error=str(wrong))


def _decode(epc_hex: str) -> Decoded:
    if len(epc_hex) < 2 or not _HEX.fullmatch(epc_hex):
        raise WrongEpc(f"expected hex digits, at least the two of a header, got {epc_hex!r}")
    bits, length = int(epc_hex, 16), 4 * len(epc_hex)
    header = bits >> length - 8
    reader = READERS.get(header)
    if reader is None:
        raise WrongEpc(f"expected the header of a scheme, got {header:02X}")
    return replace(reader(bits, length), hex=epc_hex.upper())


def encode(text: str, *, scheme: str | None = None, filter_value: int | None = None) -> str:
    """The hex digits of memory for a tag URI, EPC URI, element string or Digital Link. Raises WrongEpc."""
    if scheme is not None and scheme.endswith("+"):
        return encode_plus(text, scheme, filter_value)
    raise WrongEpc(f"expected a tag URI, EPC URI, element string or Digital Link, got {text!r}")
