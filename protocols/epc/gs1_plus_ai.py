"""GS1 Application Identifiers in the bits of TDS 2.x: which methods write which value, and the header before it.

Source: GS1 EPC Tag Data Standard 2.3, section 15.3, Tables F and K; check digits: GS1 General Specifications,
section 7.9. AI (03) and (8014) are left out as in Table F: they are not permitted on a tag. For (7254) the
standard prints at most 30 characters and a length of six bits; the six bits and the General Specifications
say 40, and so does this table.

Not checked: which AIs must or must not stand together (General Specifications, section 4.14), and rules for
single values that go beyond their form (a country's number that exists, a percent-encoded address).
"""

from collections.abc import Iterator

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_methods import (
    CHARACTERS_39,
    CHARACTERS_64,
    Alphanumeric,
    Country,
    DateRange,
    Delimited,
    FixedBits,
    FixedDigits,
    Flag,
    Method,
    Moment,
    Numeric,
    Pair,
    Sequence,
    VariableMoment,
    is_digits,
)
from protocols.epc.sgtin import check_digit

Element = tuple[str, str]  # an AI and its value

# Table F. A range means every number in it.
_TABLE_F: tuple[tuple[str, Method], ...] = (
    ("00 8006 8017 8018 8026", FixedDigits(18)),
    ("01 02", FixedDigits(14)),
    ("410-417", FixedDigits(13)),
    ("7241", FixedDigits(2)),
    ("253", Pair(FixedDigits(13), Alphanumeric(17, shortest=0))),
    ("255", Pair(FixedDigits(13), Numeric(12, shortest=0))),
    ("8003", Pair(FixedDigits(14), Alphanumeric(16, shortest=0))),
    ("7023 8004", Delimited(30)),
    ("8010", Delimited(30, CHARACTERS_39)),
    ("7252", FixedBits(1)),
    ("20", FixedBits(2)),
    ("422 424 426", FixedBits(3)),
    ("3940-3943 8111", FixedBits(4)),
    *((f"{measure}0-{measure}5", FixedBits(6)) for measure in (*range(310, 317), *range(320, 338))),
    *((f"{measure}0-{measure}5", FixedBits(6)) for measure in (*range(340, 358), *range(360, 370))),
    ("3950-3953 8005", FixedBits(6)),
    ("4330-4333", Pair(FixedBits(6), Flag("", "-"))),
    ("7250", FixedBits(8)),
    ("7251", FixedBits(12)),
    ("7001", FixedBits(13)),
    ("8001", FixedBits(14)),
    ("402", FixedBits(17)),
    ("4309", FixedBits(20)),
    ("421", Pair(FixedBits(3), Alphanumeric(9))),
    ("7030-7039", Pair(FixedBits(3), Alphanumeric(27))),
    ("3910-3919 3930-3939", Pair(FixedBits(3), Numeric(15))),
    ("7004", Numeric(4)),
    ("242", Numeric(6)),
    ("30 37", Numeric(8)),
    ("8019", Numeric(10)),
    ("8011", Numeric(12)),
    ("3900-3909 3920-3929 423 425", Numeric(15)),
    ("7010", Alphanumeric(2)),
    ("427 7008", Alphanumeric(3)),
    ("7040 7041", Alphanumeric(4)),
    ("7009 7255", Alphanumeric(10)),
    ("7005", Alphanumeric(12)),
    ("10 21 22 243 254 420 4318 7020-7022 710-716 7240 8002 8012", Alphanumeric(20)),
    ("8007", Alphanumeric(24)),
    ("7242 8013 8020", Alphanumeric(25)),
    ("235", Alphanumeric(28)),
    ("240 241 250 251 400 401 403 4308 4319 7002 7230-7239 90", Alphanumeric(30)),
    ("4300 4301 4310 4311 4320", Alphanumeric(35)),
    ("7253 7254 7259", Alphanumeric(40)),
    ("8009", Alphanumeric(50)),
    ("4302-4306 4312-4316 7257 8110 8112 8200", Alphanumeric(70)),
    ("7256 91-99", Alphanumeric(90)),
    ("8030", Alphanumeric(90, characters=CHARACTERS_64)),
    ("4321-4323", Flag("0", "1")),
    ("11 12 13 15 16 17 4326 7006", Moment(3)),
    ("4324 4325 7003", Moment(5)),
    ("7007", DateRange()),
    ("7011 8008", VariableMoment()),
    ("4307 4317", Country()),
    ("7258", Sequence()),
)


def _numbers(spans: str) -> Iterator[str]:
    """Of "410-417 20": 410, 411, …, 417, 20, each with as many digits as written."""
    for span in spans.split():
        first, _, last = span.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number:0{len(first)}d}"


METHODS = {ai: method for spans, method in _TABLE_F for ai in _numbers(spans)}

# Table K: the first two digits of an AI → how many digits it has.
AI_DIGITS = (
    dict.fromkeys(_numbers("00-02 10-13 15-17 20-22 30 37 90-99"), 2)
    | dict.fromkeys(_numbers("23-25 40-42 71"), 3)
    | dict.fromkeys(_numbers("31-36 39 43 70 72 80-82"), 4)
)

# The AIs whose value is, or begins with, a key with a check digit → where in the value it stands.
_CHECKED = {"00": 17, "01": 13, "02": 13, "253": 12, "255": 12, "402": 16, "8003": 13, "8006": 13, "8017": 17}
_CHECKED |= {"8018": 17, "8026": 13} | dict.fromkeys(_numbers("410-417"), 12)


class UnknownAi(WrongEpc):
    """An AI that the standard's Table F does not list, so that nobody can say where its value ends."""


def read_value(ai: str, bits: BitReader) -> str:
    """The value of `ai` that begins at the next bit. Raises WrongEpc."""
    try:
        value = _method(ai).read(bits)
        _check_key(ai, value)
    except UnknownAi:
        raise
    except WrongEpc as error:
        raise WrongEpc(f"AI ({ai}): {error}") from None
    return value


def write_value(ai: str, value: str, bits: BitWriter) -> None:
    """Append the value of `ai`. Raises WrongEpc."""
    try:
        _method(ai).write(value, bits)
        _check_key(ai, value)
    except UnknownAi:
        raise
    except WrongEpc as error:
        raise WrongEpc(f"AI ({ai}): {error}") from None


def read_ai(bits: BitReader) -> str:
    """The AI that begins at the next bit, four bits a digit. Raises WrongEpc."""
    header = bits.read(8)
    if not is_digits(f"{header:02X}"):
        raise WrongEpc(f"expected an AI as +AIDC header, got {header:02X}, which is reserved")
    ai = f"{header:02X}"
    if ai not in AI_DIGITS:
        raise WrongEpc(f"expected an AI as +AIDC header, got {ai}, with which no AI begins")
    ai += "".join(f"{bits.read(4):X}" for _ in range(AI_DIGITS[ai] - 2))
    if not is_digits(ai):
        raise WrongEpc(f"expected an AI as +AIDC header, got {ai}")
    return ai


def write_ai(ai: str, bits: BitWriter) -> None:
    """Append the header that announces `ai`'s value."""
    bits.write(int(ai, 16), 4 * len(ai))


def _method(ai: str) -> Method:
    if ai not in METHODS:
        raise UnknownAi(f"expected an AI that may stand on a tag, got ({ai})")
    return METHODS[ai]


def _check_key(ai: str, value: str) -> None:
    """Raise WrongEpc where `value` holds a key with a wrong check digit."""
    place = _CHECKED.get(ai)
    if place is None:
        return
    if ai == "8003" and value[0] != "0":
        raise WrongEpc(f"expected a leading 0 before the 13 digits of the asset type, got {value}")
    if value[place] != (right := check_digit(value[:place])):
        raise WrongEpc(f"expected check digit {right} in {value[: place + 1]}, got {value[place]}")
