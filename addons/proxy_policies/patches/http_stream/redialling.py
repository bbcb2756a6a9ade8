"""Dialling again after a dial that failed: mitmproxy takes the failed connection for the answer from then on."""

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpStream

from proxy_policies.patches.generators import with_commands
from proxy_policies.patches.patch import Section


class NoFailedConnection(GetHttpConnection):
    """Asks for a connection; for a new one where the last could not be opened."""

    def connection_spec_matches(self, connection: Connection) -> bool:
        """Return whether a connection will do."""
        has_failed = connection.error is not None and connection.state is ConnectionState.CLOSED
        return not has_failed and super().connection_spec_matches(connection)


class Redialling(HttpStream):
    """A request and its response."""

    def make_server_connection(self) -> CommandGenerator[bool]:
        """Get a connection to the origin."""
        is_there: bool = yield from with_commands(super().make_server_connection(), _not_a_failed_one)
        return is_there


def _not_a_failed_one(command: Command) -> Command:
    if not isinstance(command, GetHttpConnection):
        return command
    return NoFailedConnection(command.address, command.tls, command.via, command.transport_protocol)


SECTION = Section(
    mixin=Redialling,
    why="a failed dial is never tried again on the same client connection",
    upstream="not reported: two requests on one connection, the origin started in between: 502 twice",
    remove_when="`HttpLayer.get_connection` dials again where a connection has failed",
    test="tests/e2e/reverse/test_reverse.py::test_a_dead_origin_is_502_until_it_is_back",
)
