"""Topics: tallygate/v1/{company}/{site}/{gateway}/{channel}, and who may do what on them.

A gateway publishes movements, readings and status, and reads applied and command of its own; the
cloud does the reverse. The access lists of every broker we start are made from the two tables here.
"""

import re
from dataclasses import dataclass

PREFIX = "tallygate/v1"

FROM_GATEWAY = ("movements", "readings", "status")
TO_GATEWAY = ("applied", "command")
CHANNELS = FROM_GATEWAY + TO_GATEWAY

# One level of an MQTT topic without its wildcards and separators (MQTT 3.1.1, section 4.7).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class WrongTopic(ValueError):
    """The topic is not one of ours."""


@dataclass(frozen=True, slots=True, order=True)
class GatewayAddress:
    """A gateway's place in the topic tree; it belongs to one company and one site."""

    company: str
    site: str
    gateway: str

    def __post_init__(self) -> None:
        for level in (self.company, self.site, self.gateway):
            if not _NAME.fullmatch(level):
                raise WrongTopic(f"{level!r} cannot be a topic level: letters, digits, '.', '_', '-'")

    def topic(self, channel: str) -> str:
        """The topic of one channel of this gateway."""
        if channel not in CHANNELS:
            raise WrongTopic(f"{channel!r} is no channel: expected one of {', '.join(CHANNELS)}")
        return f"{PREFIX}/{self.company}/{self.site}/{self.gateway}/{channel}"

    def __str__(self) -> str:
        return f"{self.company}/{self.site}/{self.gateway}"


def parse_topic(topic: str) -> tuple[GatewayAddress, str]:
    """The address and channel of `topic`. Raises WrongTopic."""
    levels = topic.split("/")
    if len(levels) != 6 or "/".join(levels[:2]) != PREFIX or levels[5] not in CHANNELS:
        raise WrongTopic(f"expected {PREFIX}/company/site/gateway/channel, got {topic!r}")
    return GatewayAddress(*levels[2:5]), levels[5]


def all_gateways(channel: str) -> str:
    """The subscription filter for one channel of every gateway."""
    return f"{PREFIX}/+/+/+/{channel}"


def gateway_may(address: GatewayAddress, action: str, topic: str) -> bool:
    """Whether a gateway's own user may `publish` to or `subscribe` to `topic`."""
    channels = FROM_GATEWAY if action == "publish" else TO_GATEWAY
    return topic in {address.topic(channel) for channel in channels}


def cloud_may(action: str, topic: str) -> bool:
    """Whether the cloud's user may `publish` to (a name) or `subscribe` to (a filter) `topic`."""
    if action == "subscribe":
        return topic in {all_gateways(channel) for channel in FROM_GATEWAY}
    try:
        _, channel = parse_topic(topic)
    except WrongTopic:
        return False
    return channel in TO_GATEWAY
