"""How many digits a currency's minor unit has: the part of ISO 4217 that our companies have asked for."""

# ISO 4217:2015, list one (currency, minor unit). Add a line when a company keeps its books in another.
MINOR_DIGITS = {
    "AED": 2, "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2,
    "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0,
    "KWD": 3, "MOP": 2, "MXN": 2, "MYR": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "PLN": 2, "SAR": 2,
    "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2, "TWD": 2, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip


class UnknownCurrency(ValueError):
    """The code is not in our table of currencies."""


def minor_digits(currency: str) -> int:
    """Digits behind the point of an amount in `currency` (its ISO 4217 code). Raises UnknownCurrency."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise UnknownCurrency(f"expected an ISO 4217 code such as CNY, GBP or JPY, got {currency!r}") from None
