"""The containers' health checks say what is so."""

import http.server
import socket
import sys
import threading

import pytest

from standalone.healthy import main
from standalone.ports import free_port

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads the Linux kernel's table of sockets")


@linux_only
def test_listening_is_told_from_not_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert main(["listening", port]) == 0
        assert main(["connected", port]) == 1
    assert main(["listening", port]) == 1


@linux_only
def test_connected_means_to_that_port_of_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert main(["connected", str(port)]) == 0


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 0), (503, 1), (404, 1)])
def test_an_address_answers_with_2xx_or_is_not_healthy(status: int, code: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        assert main(["answers", f"http://127.0.0.1:{server.server_port}/readyz"]) == code
        serving.join()


def test_an_address_where_nobody_listens_is_not_healthy() -> None:
    assert main(["answers", f"http://127.0.0.1:{free_port()}/"]) == 1


def test_called_wrongly_it_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["listening"])
    assert "listening of what?" in capsys.readouterr().err
