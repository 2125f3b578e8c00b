"""One measured figure beside what it is measured against."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """value in `unit`; against: what `peer` (same unit) is; None where a figure stands alone."""

    name: str
    value: float
    unit: str
    against: str | None = None
    peer: float | None = None

    @property
    def ratio(self) -> float | None:
        """value ÷ peer."""
        return None if not self.peer else self.value / self.peer

    def as_json(self) -> dict[str, object]:
        """For bench.json."""
        ratio = None if self.ratio is None else round(self.ratio, 4)
        return {"value": round(self.value, 3), "unit": self.unit, "against": self.against, "ratio": ratio}

    def __str__(self) -> str:
        beside = "" if self.ratio is None else f"   {self.ratio:8.3f} × {self.against} ({self.peer:,.0f})"
        return f"{self.name:<34} {self.value:>14,.0f} {self.unit}{beside}"
