"""How far a counted share, rate or mean may be from the true one: 95 % intervals, exact or nearly so.

Wilson, E. B. (1927), J. Am. Stat. Assoc. 22, 209: shares. Garwood, F. (1936), Biometrika 28, 437: Poisson counts,
exact. Clopper and Pearson (1934), Biometrika 26, 404: shares, exact. The last two are found by bisection on the sums
of their probabilities, so nothing beyond the standard library is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p, sqrt

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % point
TAIL_95 = 0.025
_STEPS = 200  # bisections: beyond a double's precision


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float


def wilson(count: int, of: int, z: float = Z_95) -> Interval:
    """The share that `count` of `of` stands for; the whole range when nothing was counted."""
    _check(count, of)
    if of == 0:
        return Interval(0.0, 1.0)
    share, zz = count / of, z * z
    middle = (share + zz / (2 * of)) / (1 + zz / of)
    half = z * sqrt(share * (1 - share) / of + zz / (4 * of * of)) / (1 + zz / of)
    # Exactly 0 and 1 at the ends, which the rounding of the last digit would miss.
    return Interval(0.0 if count == 0 else middle - half, 1.0 if count == of else middle + half)


def clopper_pearson(count: int, of: int, tail: float = TAIL_95) -> Interval:
    """The share that `count` of `of` stands for, never too narrow; each side leaves out `tail`."""
    _check(count, of)
    low = 0.0 if count == 0 else _solve(lambda share: 1 - _binomial_cdf(count - 1, of, share) - tail, 0.0, 1.0)
    high = 1.0 if count == of else _solve(lambda share: tail - _binomial_cdf(count, of, share), 0.0, 1.0)
    return Interval(low, high)


def poisson(count: int, tail: float = TAIL_95) -> Interval:
    """The expected number of events that `count` events stand for, exact; divide by hours for a rate."""
    if count < 0:
        raise ValueError(f"expected a count of 0 or more, got {count}")
    most = count + 20.0 + 20.0 * sqrt(count + 1.0)
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _poisson_cdf(count - 1, mean) - tail, 0.0, most)
    return Interval(low, _solve(lambda mean: tail - _poisson_cdf(count, mean), 0.0, most))


def _check(count: int, of: int) -> None:
    if not 0 <= count <= of:
        raise ValueError(f"expected a count from 0 to {of}, got {count}")


def _solve(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where `rising` goes through zero."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _poisson_cdf(count: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    return _sum_of_exponentials([k * log(mean) - mean - lgamma(k + 1) for k in range(count + 1)])


def _binomial_cdf(count: int, of: int, share: float) -> float:
    if share <= 0 or count >= of:
        return 1.0
    if share >= 1:
        return 0.0
    ways = lgamma(of + 1)
    return _sum_of_exponentials(
        [
            ways - lgamma(k + 1) - lgamma(of - k + 1) + k * log(share) + (of - k) * log1p(-share)
            for k in range(count + 1)
        ]
    )


def _sum_of_exponentials(logarithms: list[float]) -> float:
    largest = max(logarithms, default=-inf)
    if largest == -inf:
        return 0.0
    return min(1.0, exp(largest) * sum(exp(one - largest) for one in logarithms))
