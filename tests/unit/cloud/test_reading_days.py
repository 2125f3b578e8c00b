"""How long readings are kept, as the environment says."""

import pytest

from cloud.settings import ReadingDays, WrongSetting, reading_days

RAW, MINUTE, HOUR = (f"TALLYGATE_READINGS_{name}_DAYS" for name in ("RAW", "MINUTE", "HOUR"))


def test_raw_for_days_minutes_for_months_hours_for_years() -> None:
    assert reading_days({}) == ReadingDays(raw=7, minutes=92, hours=1827)


def test_each_can_be_set() -> None:
    assert reading_days({RAW: "3", MINUTE: "40", HOUR: "800"}) == ReadingDays(3, 40, 800)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({RAW: "a week"}, RAW),
        ({HOUR: "-1"}, HOUR),
        ({RAW: "1"}, "2 ≤ raw"),
        ({RAW: "100"}, "100, 92, 1827"),
        ({MINUTE: "2000"}, "7, 2000, 1827"),
        ({HOUR: "99999"}, "36600"),
    ],
)
def test_what_cannot_be_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(WrongSetting, match=named):
        reading_days(environment)
