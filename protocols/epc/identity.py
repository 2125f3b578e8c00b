"""The pure identity: an EPC URI's components ↔ the GS1 key that they are, without any tag.

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 6 (EPC URI), 7 (GS1 keys), 12 (grammar of the tag URI);
GS1 Digital Link Standard: URI Syntax 1.2, section 4.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from protocols.epc.decoded import GS1_RESOLVER, WrongEpc
from protocols.epc.escapes import escape, unescape
from protocols.epc.gs1_plus_methods import CHARACTERS_39, CHARACTERS_82
from protocols.epc.gs1_plus_text import element_string
from protocols.epc.sgtin import check_digit

Components = tuple[str, ...]
Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One part of an EPC URI between dots.

    expected  completes the sentence of a refusal
    most      the greatest number, where the component is one
    """

    expected: str
    pattern: re.Pattern[str]
    most: int | None = None

    def check(self, value: str) -> None:
        """Raise WrongEpc where `value` cannot be this component."""
        if not self.pattern.fullmatch(value):
            raise WrongEpc(f"expected {self.expected}, got {value!r}")
        if self.most is not None and int(value) > self.most:
            raise WrongEpc(f"expected {self.expected} of at most {self.most}, got {value}")


def component(expected: str, pattern: str, most: int | None = None) -> Component:
    """A component of ASCII characters."""
    return Component(expected, re.compile(pattern, re.ASCII), most)


def digits(name: str, least: int, most: int) -> Component:
    """A number whose leading zeros count."""
    count = f"{least}" if least == most else f"{least} to {most}"
    return component(f"{name} of {count} digits", rf"\d{{{least},{most}}}")


def number(name: str, most: int) -> Component:
    """A number without leading zeros."""
    return component(f"{name} as a number without leading zeros", rf"0|[1-9]\d{{0,{len(str(most)) - 1}}}", most)


def text(name: str, most: int) -> Component:
    """Characters of GS1's set of 82 (General Specifications, figure 7.11-1)."""
    return component(
        f"{name} of 1 to {most} characters of GS1's set of 82", f"[{re.escape(CHARACTERS_82)}]{{1,{most}}}"
    )


def part_text(name: str, least: int, most: int) -> Component:
    """Characters of GS1's set of 39 (General Specifications, figure 7.11-2)."""
    return component(
        f"{name} of {least} to {most} characters A-Z 0-9 - / #", f"[{re.escape(CHARACTERS_39)}]{{{least},{most}}}"
    )


PREFIX = digits("a company prefix", 6, 12)
SHORTEST_PREFIX, LONGEST_PREFIX = 6, 12  # digits of a company prefix in an EPC URI (TDS 6.3)


@dataclass(frozen=True, slots=True)
class Identity:
    """A scheme's pure identity.

    urn         what stands before the components, "urn:epc:id:sgtin"
    components  of the URI, in their order; the last may hold dots
    together    least and most characters of the first two (company prefix and reference) together
    ais         the GS1 Application Identifiers of the key, in their order; none where it is no GS1 key
    to_values   components → values of `ais`
    of_values   values of `ais` and digits of the company prefix → components; check digits are checked after it
    optional    values of AIs that may be absent
    """

    urn: str
    components: tuple[Component, ...]
    together: tuple[int, int] | None = None
    ais: tuple[str, ...] = ()
    to_values: Callable[[Components], Values] | None = None
    of_values: Callable[[Values, int], Components] | None = None
    optional: tuple[tuple[str, str], ...] = ()

    def check(self, components: Components) -> None:
        """Raise WrongEpc where the standard has no such identity."""
        for rule, value in zip(self.components, components, strict=True):
            rule.check(value)
        if self.together:
            least, most = self.together
            length = len(components[0]) + len(components[1])
            if not least <= length <= most:
                count = f"{least}" if least == most else f"at most {most}"
                raise WrongEpc(
                    f"expected {count} characters in company prefix and reference together, "
                    f"got {length} in {components[0]!r} and {components[1]!r}"
                )

    def body(self, components: Components) -> str:
        """The components as URIs write them after their prefix."""
        return ".".join(map(escape, components))

    def read_body(self, body: str) -> Components:
        """The components of a URI. Raises WrongEpc."""
        parts = body.split(".", len(self.components) - 1)
        if len(parts) != len(self.components):
            raise WrongEpc(f"expected {len(self.components)} components with dots between them, got {body!r}")
        components = tuple(map(unescape, parts))
        self.check(components)
        return components

    def elements(self, components: Components) -> list[tuple[str, str]]:
        """The AIs and their values; none where it is no GS1 key."""
        values = () if self.to_values is None else self.to_values(components)
        return list(zip(self.ais, values, strict=True))

    def of_elements(self, elements: Sequence[tuple[str, str]], prefix_digits: int) -> Components:
        """The components of a GS1 key whose company prefix has so many digits (the key does not tell).

        Raises WrongEpc, also when a check digit is wrong.
        """
        given = dict(self.optional) | dict(elements)
        shown = element_string(list(elements))
        if self.of_values is None or set(given) != set(self.ais) or len(elements) > len(self.ais):
            raise WrongEpc(f"expected {''.join(f'({ai})' for ai in self.ais)} for {self.urn}, got {shown}")
        if not SHORTEST_PREFIX <= prefix_digits <= LONGEST_PREFIX:
            raise WrongEpc(f"expected a company prefix of 6 to 12 digits, got {prefix_digits} digits")
        values = tuple(given[ai] for ai in self.ais)
        components = self.of_values(values, prefix_digits)
        self.check(components)
        if (right := self.elements(components)) != [(ai, given[ai]) for ai in self.ais]:
            raise WrongEpc(f"expected {element_string(right)}, where the check digit is right, got {shown}")
        return components


def digital_link(elements: Sequence[tuple[str, str]]) -> str:
    """The canonical GS1 Digital Link URI: of these keys all AIs stand in its path."""
    return GS1_RESOLVER + "".join(f"/{ai}/{quote(value, safe='')}" for ai, value in elements)


def keyed(key: str) -> str:
    """A key and its check digit."""
    return key + check_digit(key)
