"""A classic scheme: header, filter value and coding methods, run both ways.

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 14.1 to 14.4; padding of EPC memory to whole words: 15.1.1.
"""

import re
from dataclasses import dataclass

from protocols.epc.coding_methods import Method
from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_text import element_string
from protocols.epc.identity import Components, Identity, digital_link

TAG_URN = "urn:epc:tag:"
HEADER_BITS = 8
WORD = 16  # bits: EPC memory is written and counted in whole words
_FILTER = re.compile(r"0|[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class Scheme:
    """One coding table of TDS 14.6: `methods` follow the header and the filter value."""

    name: str
    header: int
    identity: Identity
    methods: tuple[Method, ...]
    filter_bits: int = 3

    def decode(self, bits: int, length: int) -> Decoded:
        """Read `length` bits of EPC memory that begin with this header. Raises WrongEpc."""
        reader = BitReader(bits, length)
        try:
            reader.read(HEADER_BITS)
            filter_value = reader.read(self.filter_bits) if self.filter_bits else None
            components: Components = ()
            for method in self.methods:
                components += method.read(reader)
            self.identity.check(components)
            _check_padding(reader, length)
        except WrongEpc as error:
            raise WrongEpc(f"{self.name}: {error}") from None
        body, elements = self.identity.body(components), self.identity.elements(components)
        return Decoded(
            hex=f"{bits:0{-(-length // 4)}X}",
            scheme=self.name,
            filter=filter_value,
            epc_uri=f"{self.identity.urn}:{body}",
            tag_uri=f"{TAG_URN}{self.name}:{'' if filter_value is None else f'{filter_value}.'}{body}",
            element_string=element_string(elements) if elements else None,
            digital_link=digital_link(elements) if elements else None,
        )

    def encode(self, components: Components, filter_value: int) -> str:
        """The hex digits of memory, in whole words of 16 bits. Raises WrongEpc."""
        self.identity.check(components)
        try:
            memory = self._write(components, filter_value)
        except WrongEpc as error:
            raise WrongEpc(f"{self.name}: {error}") from None
        memory.write(0, -memory.length % WORD)
        return f"{memory.bits:0{memory.length // 4}X}"

    def _write(self, components: Components, filter_value: int) -> BitWriter:
        most = 2**self.filter_bits - 1
        if not 0 <= filter_value <= most:
            values = f"a filter value 0 … {most}" if most else "no filter value"
            raise WrongEpc(f"expected {values}, got {filter_value}")
        memory = BitWriter()
        memory.write(self.header, HEADER_BITS)
        memory.write(filter_value, self.filter_bits)
        for method in self.methods:
            method.write(components[: method.count], memory)
            components = components[method.count :]
        return memory

    def read_tag_uri(self, body: str) -> tuple[Components, int]:
        """Components and filter value of what follows `urn:epc:tag:NAME:`. Raises WrongEpc."""
        if not self.filter_bits:
            return self.identity.read_body(body), 0
        shown, _, rest = body.partition(".")
        if not _FILTER.fullmatch(shown):
            raise WrongEpc(f"expected a filter value as the first component of a tag URI, got {shown!r}")
        return self.identity.read_body(rest), int(shown)


def _check_padding(reader: BitReader, length: int) -> None:
    """The bits after the EPC are zeros: up to a whole hex digit or byte, or in whole words."""
    if reader.rest:
        raise WrongEpc(f"expected zeros after the EPC, got {reader.rest:0{reader.left}b}")
    is_least = reader.left < 4 or (reader.left < 8 and length % 8 == 0)
    if not is_least and length % WORD:
        raise WrongEpc(f"expected {length - reader.left} bits, or whole words of 16, got {length}")
