"""What an EPC URI writes as "%" and two hex digits.

Source: GS1 EPC Tag Data Standard (TDS) 2.1, section 5.4 and Annex A (characters of serial numbers), Annex G (of
component and part numbers). Only these characters are escaped, and they always are.
"""

import re

from protocols.epc.decoded import WrongEpc

_ESCAPED = {character: f"%{ord(character):02X}" for character in '"#%&/<>?'}
_TRANSLATION = str.maketrans(_ESCAPED)
_UNESCAPED = {escape: character for character, escape in _ESCAPED.items()}
_ESCAPE = re.compile(r"%.{0,2}", re.DOTALL)


def escape(value: str) -> str:
    """`value` as a component of an EPC URI."""
    return value.translate(_TRANSLATION)


def unescape(component: str) -> str:
    """The value that a component of an EPC URI writes. Raises WrongEpc."""
    for character in component:
        if character in _ESCAPED and character != "%":
            raise WrongEpc(f"expected {_ESCAPED[character]} for {character}, got {component!r}")
    return _ESCAPE.sub(_character, component)


def _character(found: re.Match[str]) -> str:
    character = _UNESCAPED.get(found[0].upper())
    if character is None:
        raise WrongEpc(f"expected one of {', '.join(_UNESCAPED)} as escape, got {found[0]!r}")
    return character
