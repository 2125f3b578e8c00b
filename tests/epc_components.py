"""Random keys for every classic scheme of the Tag Data Standard, as the components of its URIs."""

import warnings
from collections.abc import Callable

from hypothesis import strategies as st

from protocols.epc.escapes import escape
from protocols.epc.gs1_plus_methods import CHARACTERS_82

with warnings.catch_warnings():
    # Its patterns are no raw strings; on a machine that has not compiled them yet Python complains once.
    warnings.simplefilter("ignore")
    import epcpy as oracle

__all__ = ["NAMES", "components", "oracle", "tag_uri", "tags"]

Draw = Callable[[st.SearchStrategy[str]], str]

_CAGE = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_ADI = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-/"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def upto(most: int) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from((0, most)), st.integers(0, most)).map(str)


def text(most: int, characters: str = CHARACTERS_82, least: int = 1) -> st.SearchStrategy[str]:
    return st.text(characters, min_size=least, max_size=most)


# Scheme → what follows the company prefix of so many digits.
_AFTER_PREFIX: dict[str, Callable[[int], tuple[st.SearchStrategy[str], ...]]] = {
    "sgtin-96": lambda p: (digits(13 - p), upto(2**38 - 1)),
    "sgtin-198": lambda p: (digits(13 - p), text(20)),
    "itip-110": lambda p: (digits(13 - p), digits(2), digits(2), upto(2**38 - 1)),
    "itip-212": lambda p: (digits(13 - p), digits(2), digits(2), text(20)),
    "sscc-96": lambda p: (digits(17 - p),),
    "sgln-96": lambda p: (digits(12 - p), upto(2**41 - 1)),
    "sgln-195": lambda p: (digits(12 - p), text(20)),
    "grai-96": lambda p: (digits(12 - p), upto(2**38 - 1)),
    "grai-170": lambda p: (digits(12 - p), text(16)),
    "giai-96": lambda p: (upto(min(10 ** (25 - p), 2 ** _giai_bits(p)) - 1),),
    "giai-202": lambda p: (text(30 - p),),
    "gsrn-96": lambda p: (digits(17 - p),),
    "gsrnp-96": lambda p: (digits(17 - p),),
    "gdti-96": lambda p: (digits(12 - p), upto(2**41 - 1)),
    "gdti-113": lambda p: (digits(12 - p), text(17, "0123456789")),
    "gdti-174": lambda p: (digits(12 - p), text(17)),
    "sgcn-96": lambda p: (digits(12 - p), text(12, "0123456789")),
    "cpi-96": lambda p: (upto(10 ** (15 - p) - 1), upto(2**31 - 1)),
    "cpi-var": lambda p: (text(30 - p, _ADI + "#"), upto(10**12 - 1)),
}
_WITHOUT_PREFIX: dict[str, tuple[st.SearchStrategy[str], ...]] = {
    "gid-96": (upto(2**28 - 1), upto(2**24 - 1), upto(2**36 - 1)),
    "usdod-96": (text(6, _CAGE, 5), upto(2**36 - 1)),
    "adi-var": (text(6, _CAGE, 5), text(32, _ADI, 0), st.one_of(text(30, _ADI), text(29, _ADI).map("#".__add__))),
}
NAMES = (*_AFTER_PREFIX, *_WITHOUT_PREFIX)
_FILTERS = {"gid-96": 0, "usdod-96": 15, "adi-var": 63}


def _giai_bits(prefix_digits: int) -> int:
    return {12: 42, 11: 45, 10: 48, 9: 52, 8: 55, 7: 58, 6: 62}[prefix_digits]


@st.composite
def components(draw: st.DrawFn, name: str) -> tuple[str, ...]:
    """The components of a key that scheme `name` can carry."""
    if name in _WITHOUT_PREFIX:
        return tuple(draw(one) for one in _WITHOUT_PREFIX[name])
    count = draw(st.integers(6, 12))
    return draw(digits(count)), *(draw(one) for one in _AFTER_PREFIX[name](count))


def tag_uri(name: str, components: tuple[str, ...], filter_value: int) -> str:
    """The tag URI, put together by hand."""
    shown = [str(filter_value)] if _FILTERS.get(name, 7) else []
    return f"urn:epc:tag:{name}:{'.'.join([*shown, *map(escape, components)])}"


@st.composite
def tags(draw: st.DrawFn) -> tuple[str, tuple[str, ...], int]:
    """A scheme's name, the components of a key that it can carry, and a filter value."""
    name = draw(st.sampled_from(NAMES))
    return name, draw(components(name)), draw(st.integers(0, _FILTERS.get(name, 7)))
