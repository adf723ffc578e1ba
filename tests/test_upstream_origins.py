"""Which URLs may be fetched, and which addresses are public."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.upstream.addresses import is_public
from server.upstream.attempt import Attempt
from server.upstream.download import download
from server.upstream.origins import BadOrigin, Origin, parse_origin, permit
from server.upstream.watchdog import Watchdog

HOSTS = ("results.vendor.example", ".cdn.example")
EXTRAS = ("http://127.0.0.1:9000", "https://[::1]:9443")
LOCAL = "results.vendor.example"


def rows(*addresses: str) -> list[tuple[object, ...]]:
    """Return what `getaddrinfo` would say."""
    return [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (address, 443, 0, 0) if ":" in address else (address, 443),
        )
        for address in addresses
    ]


class Spy:
    """Stands for the name service and the network; nothing may reach the latter."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.lookups: list[str] = []
        self.connections: list[object] = []

    def resolve(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.lookups.append(host)
        return rows(*self.addresses)

    def connect(self, _: socket.socket, address: object) -> None:
        self.connections.append(address)
        raise ConnectionRefusedError


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    watchdog = Watchdog()
    with Attempt(60, watchdog) as attempt:
        yield attempt
    watchdog.close()


def refused(spy: Spy, url: str, attempt: Attempt) -> str:
    """Require that `url` is refused without a connection; return what is said."""
    with pytest.raises(BadOrigin) as caught:
        download(
            url,
            attempt,
            allowed_hosts=HOSTS,
            extra_origins=EXTRAS,
            resolve=spy.resolve,
            connect=spy.connect,
            pause=0,
        )
    assert spy.connections == []
    return str(caught.value)


HOSTILE = [
    # other schemes
    "http://results.vendor.example/a.png",
    "file:///etc/passwd",
    "file://results.vendor.example/etc/passwd",
    "ftp://results.vendor.example/a.png",
    "gopher://results.vendor.example:443/_",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "//results.vendor.example/a.png",
    "results.vendor.example/a.png",
    "https:/results.vendor.example/a.png",
    "https:results.vendor.example",
    "https://",
    "https:///a.png",
    "",
    # other ports
    "https://results.vendor.example:80/",
    "https://results.vendor.example:8443/",
    "https://results.vendor.example:0/",
    "https://results.vendor.example:99999/",
    "https://results.vendor.example:443x/",
    "https://results.vendor.example:-443/",
    # other hosts
    "https://evil.example/",
    "https://vendor.example/",
    "https://evil-results.vendor.example/",
    "https://a.results.vendor.example/",
    "https://results.vendor.example.evil.example/",
    "https://cdn.example/",
    "https://evilcdn.example/",
    "https://.cdn.example/",
    "https://a..cdn.example/",
    "https://results.vendor.example../",
    "https://localhost/",
    "https://metadata.google.internal/computeMetadata/v1/",
    # userinfo, and what some parsers take for it
    "https://user@results.vendor.example/",
    "https://user:password@results.vendor.example/",
    "https://results.vendor.example@evil.example/",
    "https://results.vendor.example:443@evil.example/",
    "https://results.vendor.example%40evil.example/",
    "https://evil.example#@results.vendor.example/",
    "https://evil.example?@results.vendor.example/",
    "https://evil.example\\@results.vendor.example/",
    "https://results.vendor.example\\@evil.example/",
    "https://evil.example\\.results.vendor.example/",
    # addresses, in every spelling
    "https://127.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::]/",
    "https://[results.vendor.example]/",
    "https://[::1/",
    # near misses of the trusted origins
    "https://127.0.0.1:9000/",
    "http://127.0.0.1/",
    "http://127.0.0.1:9001/",
    "http://user@127.0.0.1:9000/",
    "http://localhost:9000/",
    "http://[::1]:9443/",
    # characters that parsers disagree about
    "https://results.vendor.example /",
    " https://results.vendor.example/",
    "https://results.vendor.example/\n",
    "https://results.vendor.example/\r\nX-Evil: 1",
    "https://results.vendor.example/a b",
    "https://results\t.vendor.example/",
    "https://results.vendor.example\x00.evil.example/",
    "https://results.vendor.example/\x7f",
    # other alphabets: full-width letters and ideographic dots become ASCII under IDNA
    "https://\uff52esults.vendor.example/",
    "https://results\u3002vendor\u3002example/",
    "https://resu\u0131ts.vendor.example/",
    "https://\u24e1esults.vendor.example/",
    "https://results.vendor.example/bild-ü.png",
    # too long
    "https://results.vendor.example/" + "a" * 8192,
    "https://" + "a" * 64 + ".cdn.example/",
    "https://" + "a." * 130 + "cdn.example/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_causes_no_lookup_and_no_connection(url: str, attempt: Attempt) -> None:
    spy = Spy("8.8.8.8")
    refused(spy, url, attempt)
    assert spy.lookups == []


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


def test_a_refusal_shows_scheme_and_host_alone(attempt: Attempt) -> None:
    spy = Spy("10.0.0.1")
    for url in (
        "https://evil.example/path-canary?query-canary#fragment-canary",
        "https://user-canary:password-canary@evil.example/",
        "https://results.vendor.example/path-canary?query-canary",
        "http://results.vendor.example/path-canary",
        "nonsense-canary",
    ):
        assert "canary" not in refused(spy, url, attempt)
    assert "https://evil.example " in refused(spy, "https://evil.example/", attempt)


NOT_PUBLIC = [
    *("0.1.2.3", "0.0.0.1", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9"),
    *("169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("168.63.129.16", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:db8::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2002:7f00:1::1", "2002:808:808::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "ff0e::1", "", "nonsense", "1.2.3", "results.vendor.example"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "104.18.6.192", "2001:4860:4860::8888", "2606:4700::6810:7b60"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str, attempt: Attempt) -> None:
    assert not is_public(address)
    if address:
        refused(Spy(address), "https://results.vendor.example/a.png", attempt)
        refused(Spy("8.8.8.8", address), "https://results.vendor.example/a.png", attempt)
        refused(Spy(address, "8.8.8.8"), "https://results.vendor.example/a.png", attempt)


@pytest.mark.parametrize("address", [*PUBLIC, "64:ff9b::8.8.8.8"])
def test_a_public_address_is_taken(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
@example(ipaddress.ip_address("64:ff9b::a00:1"))
def test_nothing_is_public_that_python_calls_otherwise(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


ALLOWED = [
    ("https://results.vendor.example/a.png?X-Sig=a%2Fb+c", "/a.png?X-Sig=a%2Fb+c", LOCAL),
    ("HTTPS://RESULTS.Vendor.EXAMPLE/A.png", "/A.png", LOCAL),
    ("https://results.vendor.example:443/a", "/a", LOCAL),
    ("https://results.vendor.example:0443/a", "/a", LOCAL),
    ("https://results.vendor.example./a", "/a", LOCAL),
    ("https://results.vendor.example", "/", LOCAL),
    ("https://results.vendor.example?sig=1", "/?sig=1", LOCAL),
    ("https://results.vendor.example/a?b@c:d#e@f", "/a?b@c:d", LOCAL),
    ("https://a.b.CDN.example/x", "/x", "a.b.cdn.example"),
    ("https://xn--bcher-kva.cdn.example/x", "/x", "xn--bcher-kva.cdn.example"),
    ("https://my_bucket-1.cdn.example/x", "/x", "my_bucket-1.cdn.example"),
]


@pytest.mark.parametrize(("url", "path", "host"), ALLOWED)
def test_an_allowed_url_is_rebuilt_from_its_pieces(url: str, path: str, host: str) -> None:
    for hosts in (HOSTS, tuple(f"{entry.upper()}." for entry in HOSTS)):
        target = permit(url, allowed_hosts=hosts, extra_origins=())
        assert target.url == f"https://{host}{path}"
        assert target.origin == Origin("https", host, 443)
        assert target.public_only


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://127.0.0.1:9000/a?b", "http://127.0.0.1:9000/a?b"),
        ("HTTP://127.0.0.1:9000", "http://127.0.0.1:9000/"),
        ("https://[0:0::1]:9443/a", "https://[::1]:9443/a"),
    ],
)
def test_an_extra_origin_is_taken_as_it_is(url: str, canonical: str) -> None:
    target = permit(url, allowed_hosts=(), extra_origins=EXTRAS)
    assert target.url == canonical
    assert not target.public_only


@pytest.mark.parametrize("entry", ["", ".", "*", "*.example", "example", "EXAMPLE."])
def test_an_odd_entry_allows_no_host_below_it(entry: str) -> None:
    with pytest.raises(BadOrigin):
        permit("https://results.vendor.example/", allowed_hosts=[entry], extra_origins=())


@pytest.mark.parametrize("host", ["127.0.0.1", "8.8.8.8", "1", "0x7f.1", "a.0x", "[::1]", "a.7"])
def test_no_entry_allows_a_bare_address(host: str) -> None:
    with pytest.raises(BadOrigin, match="bare address"):
        permit(f"https://{host}/", allowed_hosts=[host], extra_origins=())


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000)),
        ("https://Store.Example", Origin("https", "store.example", 443)),
        ("http://store.example.", Origin("http", "store.example", 80)),
        ("http://[::1]:9000", Origin("http", "[::1]", 9000)),
    ],
)
def test_an_origin_is_scheme_host_and_port(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin
    assert parse_origin(str(origin)) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "127.0.0.1:9000", "http://", "http://:9000", "ftp://a.example", "http://a.example/"),
        *(
            "http://a.example/path",
            "http://a.example?x",
            "http://a.example#x",
            "http://u@a.example",
        ),
        *("http://a.example:0", "http://a.example:65536", "http://a.example:x", "http://a b"),
        *("http://[::1", "http://[zz]", "http://a..b", "http://ä.example", "http://a.example\n"),
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match=r"an origin is scheme://host or scheme://host:port"):
        parse_origin(text)


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{0,40}", fullmatch=True))
def test_any_text_is_permitted_or_refused(url: str) -> None:
    try:
        target = permit(url, allowed_hosts=HOSTS, extra_origins=EXTRAS)
    except BadOrigin:
        return
    assert target.url.startswith(f"{target.origin}/")
    assert "@" not in target.url.split("/")[2]
