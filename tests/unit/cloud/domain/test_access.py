"""What a key looks like, and what its scopes allow."""

import hashlib

import pytest

from cloud.domain.access import Caller, Company, Scope, join_key, split_key

SECRET = "ab" * 32


def caller(*scopes: Scope) -> Caller:
    return Caller("0" * 12, 1, "Wang", frozenset(scopes), Company(1, "demo", "Demo", "CNY", 2, "UTC", "ASBE"))


def test_a_key_splits_into_its_id_and_the_digest_of_its_secret() -> None:
    assert split_key(join_key("0123456789ab", SECRET)) == (
        "0123456789ab",
        hashlib.sha256(SECRET.encode()).digest(),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tg_",
        f"tg_0123456789ab_{SECRET} ",
        f"tg_0123456789ab_{SECRET}0",
        f"tg_0123456789AB_{SECRET}",
        f"tg_0123456789a_{SECRET}",
        f"TG_0123456789ab_{SECRET}",
        f"tg_0123456789ab_{SECRET[:-1]}é",
        f"tg_0123456789ab_{SECRET}\n",
    ],
)
def test_what_has_not_a_keys_shape_is_no_key(text: str) -> None:
    assert split_key(text) is None


def test_admin_includes_every_scope() -> None:
    assert caller(Scope.ADMIN).may(*Scope)


def test_a_key_may_what_all_its_scopes_say_and_no_more() -> None:
    both = caller(Scope.READ, Scope.WRITE_MASTER)
    assert both.may(Scope.READ, Scope.WRITE_MASTER)
    assert not both.may(Scope.WRITE_MASTER, Scope.WRITE_MOVEMENTS)
    assert not both.may(Scope.ADMIN)
