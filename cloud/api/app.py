"""The API as one ASGI application: `create_app(pool)` puts the nouns together.

Every route but /healthz and /readyz asks for an API key, the OpenAPI description too. Endpoints are plain
functions run in Starlette's thread pool; each takes a connection for as long as its statements run.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from psycopg_pool import ConnectionPool

from cloud.api import (
    accounts,
    balances,
    dimensions,
    documents,
    expectations,
    gates,
    health,
    invoices,
    items,
    journal_entries,
    locations,
    manual_entries,
    movements,
    open_items,
    parties,
    passages,
    payments,
    people,
    periods,
    posting_rules,
    problems,
    quarantine,
    rates,
    readings,
    stock_values,
    tags,
    trace,
    trial_balance,
    value_events,
    vouchers,
    work_orders,
)
from cloud.api.access import AnyCaller
from cloud.api.health import ReadyProbe
from cloud.api.limits import BodyLimit, Faults, Headers

_NOUNS = (
    items,
    locations,
    parties,
    gates,
    tags,
    expectations,
    balances,
    movements,
    work_orders,
    value_events,
    stock_values,
    passages,
    readings,
    accounts,
    dimensions,
    journal_entries,
    manual_entries,
    documents,
    invoices,
    payments,
    trial_balance,
    open_items,
    vouchers,
    rates,
    periods,
    posting_rules,
    trace,
    quarantine,
    people,
    health,
)
_PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tallygate:problem:wrong-value"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_EVERYWHERE = {
    "401": "No valid API key",
    "403": "The key lacks a scope",
    "422": "A value cannot be",
    "503": "Busy, or the database is out of reach",
}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(pool: ConnectionPool, lifespan: Lifespan | None = None) -> FastAPI:
    """The API over an opened pool. `lifespan` is what else runs as long as the service does."""
    app = FastAPI(
        title="Tallygate",
        version=_version(),
        summary="Stock, cost and ledger that agree, fed by RFID gates, scales and shelves.",
        # The pages of FastAPI load scripts from elsewhere, and nothing here is open.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.pool = pool
    app.state.ready_probe = ReadyProbe()
    for noun in _NOUNS:
        app.include_router(noun.router)

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi(_: AnyCaller) -> dict[str, Any]:
        """This description; any valid key may read it."""
        return app.openapi()

    problems.install(app)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    for layer in (BodyLimit, Faults, Headers):  # from the inside out
        app.add_middleware(layer)
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with our problems in place of FastAPI's own errors."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            routes=app.routes,
            description="Quantities and money are decimal texts, times RFC 3339 in UTC, lists keyset pages.",
        )
        schemas = found["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = _PROBLEM_SCHEMA
        for path, operations in found["paths"].items():
            for operation in operations.values():
                _add_problems(path, operation["responses"])
        app.openapi_schema = found
    return app.openapi_schema


def _add_problems(path: str, responses: dict[str, Any]) -> None:
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    is_open = not path.startswith("/v1/")
    responses.pop("422", None)
    for status, description in _EVERYWHERE.items():
        if not is_open or status == "503":
            responses[status] = {"description": description, "content": content}


def _version() -> str:
    try:
        return version("tallygate")
    except PackageNotFoundError:
        return "0"
