"""The ways to cost an item, their names and numbers, and who may not use which."""

from enum import IntEnum


class Method(IntEnum):
    """How a pool's issues are costed. The numbers stand in cost_pools.method; names are written lower case."""

    MOVING_AVERAGE = 1
    FIFO = 2
    LIFO = 3
    STANDARD = 4
    PERIODIC_AVERAGE = 5
    PERIODIC_FIFO = 6
    PERIODIC_LIFO = 7
    SPECIFIC = 8  # every lot or serial number has a pool of its own

    @property
    def label(self) -> str:
        """The name that files, tables and people use: "moving_average"."""
        return self.name.lower()


# Their issues get their cost when the period is settled.
PERIODIC = frozenset({Method.PERIODIC_AVERAGE, Method.PERIODIC_FIFO, Method.PERIODIC_LIFO})
# Their receipts stay apart from each other.
LAYERED = frozenset({Method.FIFO, Method.LIFO, Method.PERIODIC_FIFO, Method.PERIODIC_LIFO, Method.SPECIFIC})
NAMES = tuple(method.label for method in Method)

_LAST_IN_FIRST_OUT = frozenset({Method.LIFO, Method.PERIODIC_LIFO})
# ASBE 1 (2006), article 14, and IAS 2, paragraph 25, name the methods that are allowed; last in, first out is
# not among them. ASC 330-10-30-9 allows it.
_REFUSED = {"ASBE": _LAST_IN_FIRST_OUT, "IFRS": _LAST_IN_FIRST_OUT, "US_GAAP": frozenset[Method]()}


class UnknownMethod(ValueError):
    """No costing method has this name."""


class UnknownProfile(ValueError):
    """No rules on costing methods are known for this accounting profile."""


def method_named(name: str) -> Method:
    """The method of this name. Raises UnknownMethod."""
    for method in Method:
        if method.label == name:
            return method
    raise UnknownMethod(f"expected one of {', '.join(NAMES)}, got {name!r}")


def refused_by(profile: str) -> frozenset[Method]:
    """The methods that an accounting profile (ASBE, IFRS, US_GAAP) forbids. Raises UnknownProfile."""
    try:
        return _REFUSED[profile]
    except KeyError:
        raise UnknownProfile(f"expected one of {', '.join(_REFUSED)}, got {profile!r}") from None
