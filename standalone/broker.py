"""The embedded MQTT broker: amqtt with access lists, for the demo and for machines without mosquitto.

In: a credentials file (standalone/credentials.py) and an address. Out: a broker (MQTT 3.1.1) in this
process (`EmbeddedBroker`), as a program (`python -m standalone.broker`), or beside us (`broker_beside`).
It keeps nothing on disk; retained messages live as long as it does. A changed credentials file is read
again at the next sign-in.

amqtt 0.12.1 has its access control in plugins, but around them are faults that a plugin cannot close,
so `_GuardedBroker` overrides the places where they are. Each has a test:

    before a password was looked at, whoever names a client id ends the session of that id, and can put
    another user's name on it                         → no session is touched before the sign-in; a session
                                                        belongs to (user, client id)
    a last will is published unchecked                → checked at the sign-in
    a client that connects gets the retained messages of everybody's subscriptions
                                                      → only of its own
    a subscription that comes while a message is being handed out can end the handing out of that message,
    because the plugin's answer is awaited inside     → the answer is given without awaiting
    a refused sign-in stays in the table of sessions for ever → it never comes in
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker, Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session
from amqtt.utils import gen_client_id

from protocols.wire.topics import WrongTopic, all_gateways, parse_topic
from standalone.child import Child, Program
from standalone.credentials import BadCredentials, Credentials, User, load_credentials
from standalone.ports import HOST, accepts, is_free

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0  # for the CONNECT packet of a new connection; mosquitto's is the same order
READY_TIMEOUT_S = 30.0  # Python and its imports, on a small machine
STOP_TIMEOUT_S = 10.0

_USER = "tallygate.user"  # where a session keeps who signed in


class AccessList:
    """The credentials file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._credentials = Credentials.none()
        self.refresh()

    def sign_in(self, name: str | None, password: str | None) -> User | None:
        """The user with this name and password, else None."""
        try:
            self.refresh()
        except (BadCredentials, OSError) as error:
            log.warning("%s; signing in goes on with what it said before", error)
        return self._credentials.sign_in(name, password)

    def refresh(self) -> None:
        """Read the file if it has changed. Raises BadCredentials, OSError."""
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            self._credentials = load_credentials(self._path)
            self._stamp = stamp


class EmbeddedBroker:
    """A broker in this process and this event loop.

    host, port  where it listens; port 0 takes a free one, `port` says which
    """

    def __init__(self, credentials: Path, host: str = HOST, port: int = 0) -> None:
        self.host = host
        self.port = port
        self._credentials = credentials
        self._broker: _GuardedBroker | None = None

    async def start(self) -> None:
        """Listen. Raises BadCredentials, FileNotFoundError, OSError when the port is taken."""
        if self.port and self.host == HOST and not is_free(self.port):
            # amqtt would wrap this into an error of its own and print the traceback.
            raise OSError(f"port {self.port} on {self.host} is taken by another program")
        config = BrokerConfig(listeners={"default": ListenerConfig(bind=f"{self.host}:{self.port}")}, plugins={})
        broker = _GuardedBroker(AccessList(self._credentials), config)
        await broker.start()
        self._broker = broker
        self.port = broker.listening_port()

    async def stop(self) -> None:
        """Say goodbye to the clients and stop listening; stopping twice is harmless."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.shutdown()


class _GuardedBroker(Broker):
    """amqtt's broker with our access list; see the file's docstring for why by overriding."""

    def __init__(self, access: AccessList, config: BrokerConfig) -> None:
        super().__init__(config)
        self._access = access

    def listening_port(self) -> int:
        server = self._servers["default"].instance
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Read CONNECT into a session of its own; who it is, is asked next. Raises AMQTTError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                handler, session = await BrokerProtocolHandler.init_from_connect(
                    reader, writer, self.plugins_manager
                )
        except (AMQTTError, MQTTError, NoDataError, TimeoutError) as error:
            await writer.close()
            raise AMQTTError(f"no CONNECT from {remote_address}:{remote_port}: {error!r}") from error
        # What a session would keep over a disconnect is lost with amqtt's process anyway; nobody relies on it.
        session.clean_session = True
        session.parent = 0
        return handler, session

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        """Let a client in, or say no and hang up."""
        user = self._sign_in(client_session)
        if user is None:
            handler.attach(client_session, reader, writer)
            await handler.mqtt_connack_authorize(False)
            await writer.close()
            return
        client_session.attributes[_USER] = user
        # Nobody can name a session of another user: no user's name holds a slash.
        client_session.client_id = f"{user.name}/{client_session.client_id or gen_client_id()}"
        await self._end_earlier_session(client_session.client_id)
        await super()._handle_client_session(reader, writer, client_session, handler, server, listener_name)

    def _sign_in(self, session: Session) -> User | None:
        user = self._access.sign_in(session.username, session.password)
        if user is None:
            log.warning("sign-in refused: user %s from %s", session.username, session.remote_address)
            return None
        if session.will_flag and not user.may("publish", session.will_topic or ""):
            log.warning("sign-in refused: user %s may not leave a will on %s", user.name, session.will_topic)
            return None
        return user

    async def _end_earlier_session(self, client_id: str) -> None:
        """A second connection of one client ends its first (MQTT 3.1.1, [MQTT-3.1.4-2])."""
        session, earlier = self._sessions.get(client_id, (None, None))
        if session is None or earlier is None:
            return
        if session.transitions.is_connected():
            log.info("client %s connects again, its earlier connection is closed", client_id)
            await earlier.handle_connection_closed()
            await earlier.stop()
        await self._delete_session(client_id)

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return _USER in session.attributes

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Whether it may; never suspends, because callers iterate over tables that others change."""
        user = session.attributes.get(_USER)
        if user is None:
            return False
        if action == Action.RECEIVE:
            return _may_receive(user, topic)
        may: bool = user.may(action.value, topic)
        if not may:
            log.warning("user %s may not %s %s", user.name, action.value, topic)
        return may

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


def _may_receive(user: User, topic: str) -> bool:
    """Whether some filter that the user may subscribe to matches `topic`."""
    if user.address is not None:
        return user.may("subscribe", topic)
    try:
        _, channel = parse_topic(topic)
    except WrongTopic:
        return False
    return user.may("subscribe", all_gateways(channel))


# -- as a program ---------------------------------------------------------------------------------


def broker_beside(credentials: Path, port: int, log_file: Path) -> Child:
    """The embedded broker as a process beside us, not yet started; ready when it accepts connections."""
    program = Program(
        name="broker",
        argv=[
            *(sys.executable, "-m", "standalone.broker"),
            *("--listen", f"{HOST}:{port}", "--credentials", str(credentials)),
        ],
        folder=Path(__file__).resolve().parent.parent,
        log=log_file,
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        stop_signal=signal.SIGTERM,
    )
    return Child(program, lambda: accepts(port))


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, an IPv6 host in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return host or HOST, int(port)


async def serve(credentials: Path, host: str, port: int) -> None:
    """Run until SIGTERM or SIGINT. Raises BadCredentials, OSError."""
    broker = EmbeddedBroker(credentials, host, port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await broker.start()
    log.info("broker listens on %s:%d", host, broker.port)
    if host not in (HOST, "localhost", "[::1]"):
        log.warning(
            "passwords and movements travel unencrypted: on a network use mosquitto with TLS, as compose does"
        )
    try:
        await stop.wait()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(broker.stop(), STOP_TIMEOUT_S)
    log.info("broker stopped")


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0 stopped, 1 it could not start."""
    parser = argparse.ArgumentParser(prog="python -m standalone.broker", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--listen", metavar="HOST:PORT", default=f"{HOST}:1883")
    parser.add_argument("--credentials", metavar="FILE", type=Path, required=True)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("amqtt").setLevel(logging.WARNING)  # a line for each connection and each state otherwise
    logging.getLogger("transitions").setLevel(logging.WARNING)
    try:
        host, port = parse_listen(arguments.listen)
        asyncio.run(serve(arguments.credentials, host, port))
    except (BadCredentials, OSError, ValueError, AMQTTError) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
