"""A web site on loopback that gives what a test says, whole or not."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site(ThreadingHTTPServer):
    """`pages` is what it has, by path; the next `breaks` answers break off half way; while `stalls`
    says so, no page has an end. `asked` is the paths that were asked for.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.pages: dict[str, bytes] = {}
        self.breaks = 0
        self.stalls = False
        self.asked: list[str] = []
        self.ended = threading.Event()

    def url(self, path: str = "") -> str:
        """Where the page of a `path` without its first slash is."""
        return f"http://127.0.0.1:{self.server_port}/{path}"


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        """Give a page, or 404."""
        site = self.server
        site.asked.append(self.path)
        page = site.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page or b"")))
        self.end_headers()
        if site.breaks or site.stalls:
            page = (page or b"")[: len(page or b"") // 2]
            site.breaks = max(site.breaks - 1, 0)
        with contextlib.suppress(ConnectionError):  # one who has read enough
            self.wfile.write(page or b"")
        if site.stalls:
            self.wfile.flush()
            site.ended.wait(60)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Run a site that has nothing yet. It is reached past the proxies of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site() as made:
        serving = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield made
        finally:
            made.ended.set()
            made.shutdown()
            serving.join(60)
