"""The custom hostname of a "++" tag ↔ bits: where its GS1 Digital Link leads.

Source: GS1 EPC Tag Data Standard 2.3, section 14.5.16 and Tables 14-11 to 14-15.

    1 bit: 0 = URN Code 40 (capitals, digits, - . :), 1 = seven bits a character
    6 bits: length, in characters (URN Code 40) or in units of seven bits
    then the characters; in the seven-bit form some units stand for ".com", "id." and the like, and
    a unit 0 … 3 and the next one together for a country's domain

Table 14-14 prints .org.cn and .net.cn with the first unit 0; by their place in the table and because .cz and
.ec already have those codes it must be 2, as for all others of the table.
"""

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_methods import CHARACTERS_82, URN_CODE_40, read_code_40, write_code_40

LONGEST = 63  # characters and units alike: the six bits of the length say no more

# Table 14-11: seven bits that stand for more than one character.
_SHORT = {
    0x1E: "qr.", 0x1F: "www.", 0x20: "id.", 0x5B: ".com", 0x5C: ".org", 0x5D: ".net", 0x5E: ".int", 0x60: ".edu",
    0x7B: ".gov", 0x7C: ".mil", 0x7D: ".biz", 0x7E: ".eco", 0x7F: ".med",
}  # fmt: skip

# Tables 14-12 to 14-15: the domain by the first unit and, as its place in the list, the second.
_LONG = tuple(
    tuple("." + domain for domain in table.split())
    for table in (
        "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo bq br bs "
        "bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg "
        "eh er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn "
        "hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li",
        "lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne "
        "nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb "
        "sc sd se sg sh si sk sl sm sn sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv "
        "tw tz ua ug us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw",
        "com.au net.au org.au co.at com.bd co.bd com.br net.br co.nz com.ng com.pk co.in com.in co.il co.jp "
        "co.za co.kr com.es com.lk co.th co.tt com.tt com.tr biz.tr com.ua co.uk co.zm com.zm com.cn org.cn "
        "net.cn gov.cn",
        "tech",
    )
)

# What is written → (its bits, how many units of seven). A character stands for itself.
_UNITS = (
    {character: (ord(character), 1) for character in CHARACTERS_82}
    | {text: (code, 1) for code, text in _SHORT.items()}
    | {text: (first << 7 | second, 2) for first, row in enumerate(_LONG) for second, text in enumerate(row)}
)
_LONGEST_UNIT = max(map(len, _UNITS))


def read_hostname(bits: BitReader) -> str:
    """The hostname that begins at the next bit. Raises WrongEpc."""
    is_seven_bit, length = bits.read(1), bits.read(6)
    if not length:
        raise WrongEpc("expected a hostname of 1 … 63 characters, got a length of 0")
    hostname = _read_units(bits, length) if is_seven_bit else read_code_40(bits, length)
    if len(hostname) > LONGEST:
        raise WrongEpc(f"expected a hostname of at most {LONGEST} characters, got {hostname!r}")
    return hostname


def write_hostname(hostname: str, bits: BitWriter) -> None:
    """Append `hostname` in the form that needs fewer bits; its capitals stay capitals. Raises WrongEpc."""
    if not 1 <= len(hostname) <= LONGEST or not set(hostname) <= set(CHARACTERS_82):
        raise WrongEpc(f"expected a hostname of 1 … {LONGEST} characters that GS1 permits, got {hostname!r}")
    units = _fewest_units(hostname)
    length = sum(count for _, count in units)
    if set(hostname) <= set(URN_CODE_40) and -(-len(hostname) // 3) * 16 < 7 * length:
        bits.write(len(hostname), 7)
        write_code_40(hostname, bits)
        return
    bits.write(1, 1)
    bits.write(length, 6)
    for code, count in units:
        bits.write(code, 7 * count)


def _read_units(bits: BitReader, length: int) -> str:
    hostname, left = "", length
    while left > 0:
        code = bits.read(7)
        left -= 1
        if code < len(_LONG):
            left -= 1
            second = bits.read(7)
            if second >= len(_LONG[code]):
                raise WrongEpc(f"expected a domain of table B{code + 1} in the hostname, got reserved {second}")
            hostname += _LONG[code][second]
        elif code in _SHORT:
            hostname += _SHORT[code]
        elif chr(code) in CHARACTERS_82:
            hostname += chr(code)
        else:
            raise WrongEpc(f"expected a character of a hostname, got reserved code {code}")
    if left:
        raise WrongEpc(f"expected the hostname to end within its {length} units, got one more")
    return hostname


def _fewest_units(hostname: str) -> list[tuple[int, int]]:
    """The units that write `hostname` in the fewest bits, found from its end to its start.

    Taking the longest match from the left would do for every name we know of; this needs no such trust.
    """
    best: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]  # [0]: for the end of the name
    for start in range(len(hostname) - 1, -1, -1):
        ways = []
        for size in range(min(_LONGEST_UNIT, len(hostname) - start), 0, -1):
            if unit := _UNITS.get(hostname[start : start + size]):
                cost, after = best[size - 1]
                ways.append((cost + unit[1], [unit, *after]))
        best.insert(0, min(ways, key=lambda way: way[0]))
    return best[0][1]
