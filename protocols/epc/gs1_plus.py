"""The "+" and "++" schemes of TDS 2.x: tag memory ↔ GS1 keys, with more data behind the key where there is any.

Source: GS1 EPC Tag Data Standard 2.3, sections 14.5, 14.6 and 15.3, Table 14-1 (headers).

    header 8 · +AIDC data toggle 1 · filter 3 · [DSGTIN: date type 4 and date 16] · the key's AIs, as Table F
    writes them · [++: hostname] · [+AIDC data: AI and value, again and again] · zeros up to a word of 16 bits

A + scheme does not tell where the company prefix ends, so the standard gives it neither a pure identity URI nor
a tag URI (`epc_uri` and `tag_uri` are None); its names are the element string and the GS1 Digital Link. The
Digital Link of a ++ tag is told here in its canonical form on id.gs1.org, and the hostname beside it.

What follows the key is read as +AIDC data whatever the toggle says: the standard calls the toggle a help for
selecting tags over the air and not for reading them (14.5.1, 15.3). Only an AI that Table F does not know is
kept as it is, "undecoded:" and its bits in hex, and only where the toggle announced it; all else that is not
zero and not +AIDC data is refused. Zeros to the end are padding, also where they would be an SSCC of zeros.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus_ai import Element, UnknownAi, read_ai, read_value, write_ai, write_value
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_hostname import read_hostname, write_hostname
from protocols.epc.gs1_plus_methods import Moment
from protocols.epc.gs1_plus_text import digital_link, element_string, elements_of

MAX_BITS = 31 * 16  # the five length bits of a tag's protocol control word count so many words (TDS 9.3)
_WORD = 16  # bits

# Section 14.5.3: the AI of a prioritised date by its four-bit type; 7 … 15 are reserved.
DATE_TYPES = ("11", "13", "15", "16", "17", "7006", "7007")
# A key without its serial number names a class and no single thing, and is no EPC → digits of the class.
_CLASS_DIGITS = {"253": 13, "255": 13, "8003": 14}


@dataclass(frozen=True, slots=True)
class PlusScheme:
    """One row of Table 14-1: `ais` are the key's AIs in the order of their bits."""

    name: str
    header: int
    ais: tuple[str, ...]
    has_hostname: bool

    @property
    def has_date(self) -> bool:
        return self.name.startswith("dsgtin")


# Name, header of "+", header of "++", AIs of the key.
_TABLE: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("sgtin", 0xF7, 0xFD, ("01", "21")),
    ("dsgtin", 0xFB, 0xFC, ("01", "21")),
    ("sscc", 0xF9, 0xEF, ("00",)),
    ("sgln", 0xF2, 0xE9, ("414", "254")),
    ("grai", 0xF1, 0xEB, ("8003",)),
    ("giai", 0xFA, 0xEE, ("8004",)),
    ("gsrn", 0xF4, 0xE7, ("8018",)),
    ("gsrnp", 0xF5, 0xE8, ("8017",)),
    ("gdti", 0xF6, 0xEA, ("253",)),
    ("sgcn", 0xF8, 0xEC, ("255",)),
    ("itip", 0xF3, 0xED, ("8006", "21")),
    ("cpi", 0xF0, 0xE6, ("8010", "8011")),
)
SCHEMES = {
    scheme.header: scheme
    for name, plus, plus_plus, ais in _TABLE
    for scheme in (PlusScheme(f"{name}+", plus, ais, False), PlusScheme(f"{name}++", plus_plus, ais, True))
}
_BY_NAME = {scheme.name: scheme for scheme in SCHEMES.values()}
_BY_KEY = {ais[0]: name for name, _, _, ais in reversed(_TABLE)}  # of sgtin and dsgtin: sgtin


def decode_plus(bits: int, length: int) -> Decoded:
    """Read `length` bits of EPC memory that begin with the header of a + or ++ scheme.

    Raises WrongEpc with the reason.
    """
    reader = BitReader(bits, length)
    header = reader.read(8)
    if header not in SCHEMES:
        raise WrongEpc(f"expected the header of a + or ++ scheme, got {header:02X}")
    scheme = SCHEMES[header]
    is_announced, filter_value = bool(reader.read(1)), reader.read(3)
    date = [_read_date(reader)] if scheme.has_date else []
    elements = [(ai, read_value(ai, reader)) for ai in scheme.ais]
    _must_be_serialised(elements)
    hostname = read_hostname(reader) if scheme.has_hostname else None
    aidc, undecoded = _read_aidc(reader, is_announced)
    elements = [*elements, *date, *aidc]
    _must_be_distinct(elements)
    return Decoded(
        hex=f"{bits:0{-(-length // 4)}X}",
        scheme=scheme.name,
        filter=filter_value,
        epc_uri=None,
        tag_uri=None,
        element_string=element_string(elements),
        digital_link=digital_link(elements),
        error=None,
        aidc=element_string(aidc) + undecoded or None,
        hostname=hostname,
    )


def encode_plus(
    text: str,
    scheme: str | None = None,
    filter_value: int | None = None,
    *,
    aidc: str = "",
    hostname: str | None = None,
) -> str:
    """The hex digits of EPC memory, in whole words of 16 bits, that carry what `text` says.

    text          an element string or a GS1 Digital Link
    scheme        "sgtin+", "giai++", …; None: by the key, with "++" where a hostname is given
    filter_value  0 … 7; None: 0, all others
    aidc          an element string of further data; what of `text` is not the key's is further data too
    hostname      of a ++ scheme; None: the Digital Link's

    Raises WrongEpc with the reason.
    """
    filter_value = filter_value or 0
    if not 0 <= filter_value <= 7:
        raise WrongEpc(f"expected a filter value 0 … 7, got {filter_value}")
    elements, linked = elements_of(text)
    elements += elements_of(aidc)[0] if aidc else []
    _must_be_distinct(elements)
    chosen = _scheme(scheme, elements, hostname or linked)
    values = dict(elements)
    if "414" in chosen.ais:
        values.setdefault("254", "0")  # a place without extension (14.6.3)
    key = [(ai, _value(ai, values, chosen)) for ai in chosen.ais]
    _must_be_serialised(key)
    body, used = BitWriter(), set(chosen.ais)
    if chosen.has_date:
        used.add(_write_date(elements, body))
    for ai, value in key:
        write_value(ai, value, body)
    if chosen.has_hostname:
        write_hostname(_hostname(hostname or linked, text, chosen), body)
    further = [(ai, value) for ai, value in elements if ai not in used]
    for ai, value in further:
        write_ai(ai, body)
        write_value(ai, value, body)
    return _memory(chosen.header, bool(further), filter_value, body)


def _read_date(reader: BitReader) -> Element:
    kind = reader.read(4)
    if kind >= len(DATE_TYPES):
        raise WrongEpc(f"expected a date type 0 … {len(DATE_TYPES) - 1}, got {kind}, which is reserved")
    return DATE_TYPES[kind], Moment(3).read(reader)


def _write_date(elements: Iterable[Element], body: BitWriter) -> str:
    """Append the first of the elements that is a date of the permitted kinds; return its AI."""
    for ai, value in elements:
        if ai in DATE_TYPES:
            body.write(DATE_TYPES.index(ai), 4)
            Moment(3).write(value, body)
            return ai
    raise WrongEpc(f"expected a date for DSGTIN, one of the AIs {', '.join(DATE_TYPES)}, got none")


def _read_aidc(reader: BitReader, is_announced: bool) -> tuple[list[Element], str]:
    """What follows the EPC: its elements, and "undecoded:" and the rest in hex where an AI was not known."""
    elements: list[Element] = []
    while reader.left >= 8 and reader.rest:
        start, rest = reader.left, reader.rest
        try:
            ai = read_ai(reader)
            elements.append((ai, read_value(ai, reader)))
        except UnknownAi:
            if not is_announced:
                raise
            return elements, f"undecoded:{rest << -start % 4:0{-(-start // 4)}X}"
        except WrongEpc as error:
            if not is_announced:
                raise WrongEpc(
                    f"expected zeros after the EPC, whose toggle announces no data, got {error}"
                ) from None
            raise
    if reader.rest:
        raise WrongEpc(f"expected zeros up to the end, got {reader.rest:0{reader.left}b} in the last bits")
    return elements, ""


def _must_be_distinct(elements: list[Element]) -> None:
    ais = [ai for ai, _ in elements]
    for ai in ais:
        if ais.count(ai) > 1:
            raise WrongEpc(f"expected each AI once, got ({ai}) again")


def _must_be_serialised(elements: list[Element]) -> None:
    for ai, value in elements:
        if len(value) <= _CLASS_DIGITS.get(ai, 0):
            raise WrongEpc(
                f"expected a serial number in AI ({ai}), got {value} alone, which is a class and no EPC"
            )


def _scheme(name: str | None, elements: list[Element], hostname: str | None) -> PlusScheme:
    if name is None:
        if elements[0][0] not in _BY_KEY:
            raise WrongEpc(f"expected the AI of a key that a + scheme carries first, got ({elements[0][0]})")
        name = _BY_KEY[elements[0][0]] + ("++" if hostname else "+")
    if name.lower() not in _BY_NAME:
        raise WrongEpc(f"expected one of {', '.join(_BY_NAME)} as scheme, got {name!r}")
    return _BY_NAME[name.lower()]


def _value(ai: str, values: dict[str, str], scheme: PlusScheme) -> str:
    if ai not in values:
        raise WrongEpc(f"expected AI ({ai}) for {scheme.name}, got {element_string(list(values.items()))}")
    return values[ai]


def _hostname(hostname: str | None, text: str, scheme: PlusScheme) -> str:
    if not hostname:
        raise WrongEpc(f"expected a hostname for {scheme.name}, got none")
    if text.startswith("http://"):
        raise WrongEpc(f"expected https:// for {scheme.name}, which implies it, got {text!r}")
    return hostname


def _memory(header: int, has_data: bool, filter_value: int, body: BitWriter) -> str:
    memory = BitWriter()
    memory.write(header, 8)
    memory.write(int(has_data), 1)
    memory.write(filter_value, 3)
    memory.append(body)
    memory.write(0, -memory.length % _WORD)
    if memory.length > MAX_BITS:
        raise WrongEpc(f"expected at most {MAX_BITS} bits, as many as EPC memory counts, got {memory.length}")
    return f"{memory.bits:0{memory.length // 4}X}"
