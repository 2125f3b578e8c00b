"""Topics name a gateway and a channel both ways, and each side may do on them what its table says, and no more."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire.topics import (
    CHANNELS,
    FROM_GATEWAY,
    TO_GATEWAY,
    GatewayAddress,
    WrongTopic,
    all_gateways,
    cloud_may,
    gateway_may,
    parse_topic,
)

ACTIONS_AND_CHANNELS = list(itertools.product(("publish", "subscribe"), CHANNELS))
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
ADDRESSES = st.builds(GatewayAddress, NAMES, NAMES, NAMES)

OURS = GatewayAddress("demo", "MAIN", "gw-1")
OTHERS = (
    GatewayAddress("demo", "MAIN", "gw-2"),
    GatewayAddress("demo", "EAST", "gw-1"),
    GatewayAddress("rival", "MAIN", "gw-1"),
)


def test_a_topic_reads_as_it_is_documented() -> None:
    assert OURS.topic("movements") == "tallygate/v1/demo/MAIN/gw-1/movements"
    assert str(OURS) == "demo/MAIN/gw-1"


@given(ADDRESSES, st.sampled_from(CHANNELS))
def test_what_is_built_is_parsed_again(address: GatewayAddress, channel: str) -> None:
    assert parse_topic(address.topic(channel)) == (address, channel)


@given(st.text(max_size=60) | st.lists(st.text(max_size=8), max_size=8).map("/".join))
def test_what_is_parsed_is_built_again_and_the_rest_is_refused(topic: str) -> None:
    for candidate in (topic, f"tallygate/v1/{topic}", f"tallygate/v1/a/b/{topic}"):
        try:
            address, channel = parse_topic(candidate)
        except WrongTopic:
            continue
        assert address.topic(channel) == candidate


@pytest.mark.parametrize(
    "level", ["", "+", "#", "a/b", "a+", "$SYS", "-a", ".a", "a b", "a\n", "é", "a\0", "x" * 65]
)
def test_a_name_that_could_be_more_than_one_level_is_refused(level: str) -> None:
    for levels in ((level, "s", "g"), ("c", level, "g"), ("c", "s", level)):
        with pytest.raises(WrongTopic):
            GatewayAddress(*levels)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "tallygate/v1/c/s/g",
        "tallygate/v1/c/s/g/movements/x",
        "tallygate/v2/c/s/g/movements",
        "Tallygate/v1/c/s/g/movements",
        "/tallygate/v1/c/s/g/movements",
        "tallygate/v1/c/s/g/Movements",
        "tallygate/v1/c//g/movements",
        "tallygate/v1/+/s/g/movements",
        "tallygate/v1/c/s/#/movements",
    ],
)
def test_a_topic_of_another_form_is_refused(topic: str) -> None:
    with pytest.raises(WrongTopic):
        parse_topic(topic)


def test_a_channel_that_does_not_exist_has_no_topic() -> None:
    with pytest.raises(WrongTopic, match="expected one of movements, readings, status, applied, command"):
        OURS.topic("gossip")


def test_every_channel_goes_one_way() -> None:
    assert set(FROM_GATEWAY) | set(TO_GATEWAY) == set(CHANNELS)
    assert not set(FROM_GATEWAY) & set(TO_GATEWAY)


@pytest.mark.parametrize(("action", "channel"), ACTIONS_AND_CHANNELS)
def test_a_gateway_says_what_happened_and_hears_what_is_wanted(action: str, channel: str) -> None:
    allowed = channel in (FROM_GATEWAY if action == "publish" else TO_GATEWAY)
    assert gateway_may(OURS, action, OURS.topic(channel)) is allowed
    for other in OTHERS:
        assert not gateway_may(OURS, action, other.topic(channel))
    assert not gateway_may(OURS, action, all_gateways(channel))


@pytest.mark.parametrize(("action", "channel"), ACTIONS_AND_CHANNELS)
def test_the_cloud_hears_every_gateway_and_answers_each(action: str, channel: str) -> None:
    for address in (OURS, *OTHERS):
        assert cloud_may("publish", address.topic(channel)) is (channel in TO_GATEWAY)
    assert cloud_may("subscribe", all_gateways(channel)) is (channel in FROM_GATEWAY)
    assert not cloud_may("publish", all_gateways(channel))


@pytest.mark.parametrize("topic", ["#", "+/#", "tallygate/#", "tallygate/v1/+/+/+/+", "$SYS/#", ""])
def test_nobody_may_listen_to_everything(topic: str) -> None:
    for action in ("publish", "subscribe"):
        assert not gateway_may(OURS, action, topic)
        assert not cloud_may(action, topic)
