"""How values look on the wire: decimal texts, names instead of numbers, RFC 3339 times in UTC."""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from cloud.api.problems import wrong_value
from cloud.domain.catalog import CODE_MAX, LOT_MAX, TEXT_MAX
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.domain.movement import Crossing, Kind, Outcome, Tag

RATE_DIGITS = 9
MICRO_DIGITS = 6

# What a person or program may write; control characters are refused here, so that no row ever holds one.
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
Code = Annotated[str, StringConstraints(min_length=1, max_length=CODE_MAX, pattern=_NO_CONTROLS)]
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX, pattern=_NO_CONTROLS)]
LotCode = Annotated[str, StringConstraints(min_length=1, max_length=LOT_MAX, pattern=_NO_CONTROLS)]
DecimalText = Annotated[
    str, StringConstraints(max_length=24, pattern=r"^[0-9]{1,13}(\.[0-9]{1,9})?$"), Field(examples=["12", "0.25"])
]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["USD"])]
Dimensions = Annotated[dict[Code, Code], Field(max_length=16, examples=[{"cost_centre": "A1"}])]
DIMENSIONS_NOTE = "Of the account opposite the stock: the code of a value by the code of its type."
Quantity = Annotated[str, Field(description="In stock units, up to six digits after the point.", examples=["12"])]
CostValue = Annotated[str, Field(description="In the company's currency, to 10⁻⁶.", examples=["48.40"])]
Amount = Annotated[str, Field(description="With all digits of the company's currency.", examples=["48.40"])]
Moment = Annotated[datetime, Field(description="UTC, RFC 3339.", examples=["2026-11-22T08:15:00.250000Z"])]
MomentIn = Annotated[
    AwareDatetime, Field(description="RFC 3339 with an offset.", examples=["2026-11-22T08:15:00Z"])
]


class ByName:
    """An integer enum that stands on the wire under its name in lower case."""

    def __init__(self, enum: type[IntEnum]) -> None:
        self.by_name = {member.name.lower(): member for member in enum}
        self.enum = enum

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Read a name (or the member itself), write the name."""
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda member: member.name.lower(), return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The names."""
        return {"type": "string", "enum": list(self.by_name)}

    def _read(self, value: Any) -> IntEnum:
        if isinstance(value, self.enum):
            return value
        if isinstance(value, str) and value in self.by_name:
            return self.by_name[value]
        raise ValueError(f"expected one of {', '.join(self.by_name)}")


KindName = Annotated[Kind, ByName(Kind)]
OutcomeName = Annotated[Outcome, ByName(Outcome)]
CrossingName = Annotated[Crossing, ByName(Crossing)]


class LogPlace(BaseModel):
    """Where in which log a movement was born; gateway and site are null for the cloud's own log."""

    site: str | None
    gateway: str | None
    epoch: UUID
    seq: int


def tag_names(bits: int) -> list[str]:
    """What a reader should know: late, clock, uncosted."""
    return [tag.name.lower() for tag in Tag if tag & bits and tag.name]


def parse_decimal(text: str, digits: int, pointer: str) -> int:
    """A decimal text as an integer of 10⁻ᵈⁱᵍⁱᵗˢ. Raises Problem."""
    try:
        return parse_scaled(text, digits)
    except NotADecimal as error:
        raise wrong_value(pointer, str(error)) from None


def parse_uuid(text: str) -> UUID | None:
    """A UUID in either of its usual forms, None for anything else."""
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None
