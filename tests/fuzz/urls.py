"""Result URLs: what is permitted means the same host to every parser on the way."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from requests import Request, RequestException
from urllib3.util import parse_url

from server.upstream.addresses import is_public
from server.upstream.origins import BadOrigin, permit

MAX_LENGTH = 512
HOSTS = ("results.vendor.example", ".cdn.example")
EXTRAS = ("http://127.0.0.1:9000",)
SEEDS = (
    b"https://results.vendor.example/a.png?X-Signature=a%2Fb",
    b"https://a.b.cdn.example:443/a",
    b"http://127.0.0.1:9000/a.png",
    b"https://user@results.vendor.example#@cdn.example",
    b"https://[::ffff:127.0.0.1]/",
    b"64:ff9b::169.254.169.254",
    b"169.254.169.254",
    b"2001:4860:4860::8888",
)
WORDS = (
    *(b"https://", b"http://", b"results.vendor.example", b".cdn.example", b":443", b":80", b"@"),
    *(b"\\", b"%40", b"#", b"?", b"//", b"..", b"[::1]", b"127.0.0.1", b"::ffff:", b"0x7f", b"%00"),
    *(b"\t", b"\r\n", b"xn--", "\u3002".encode(), "\uff52".encode(), b"64:ff9b::", b"2002:"),
)


def check(data: bytes) -> None:
    """Ask whether `data` may be fetched, as a URL and as an address."""
    text = data.decode("utf-8", "surrogateescape")
    if is_public(text) and not _global(text):
        raise AssertionError(f"{text!r} is called public")
    try:
        target = permit(text, allowed_hosts=HOSTS, extra_origins=EXTRAS)
    except BadOrigin as refusal:
        if not str(refusal).isprintable():
            raise AssertionError("a refusal with control characters") from refusal
        return
    try:
        prepared = Request("GET", target.url).prepare().url or ""
    except RequestException:
        return  # told apart before anything is looked up
    origin = target.origin
    for url in (target.url, prepared):
        split, parsed = urlsplit(url), parse_url(url)
        hosts = {split.hostname, (parsed.host or "").lower(), origin.host.strip("[]")}
        if len(hosts) != 1 or split.username or parsed.auth or split.scheme != origin.scheme:
            raise AssertionError(f"{url!r} is read in several ways: {hosts}")
        if origin.port != (split.port or {"http": 80, "https": 443}[split.scheme]):
            raise AssertionError(f"{url!r} has another port")
    allowed = origin.host == HOSTS[0] or origin.host.endswith(HOSTS[1])
    if target.public_only and not (allowed and origin.scheme == "https" and origin.port == 443):
        raise AssertionError(f"{target.url!r} was permitted")


def _global(text: str) -> bool:
    ip = ip_address(text)
    return ip.is_global and not ip.is_multicast
