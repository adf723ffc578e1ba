"""Everything that goes wrong with a gateway: its upstreams' faults and its callers' mistakes."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc

from gateway_http.settings import read as read_front
from imageedit.v1 import image_edit_pb2 as pb
from sandbox.faults import FAULTS
from server.accounts import key_format
from server.accounts.ledger import Ledger
from server.settings import read_settings
from server.upstream.session import Endpoint
from tests import whole
from tests.canaries import canary
from tests.edits import Edit
from tests.paid_keys import PLENTY, keys_in, new_id, now
from tests.pictures import chunk, encoded, gradient, with_png_chunks
from tests.running import Gateway
from tests.used_gateway import Door, Used

KEYS = whole.of(40, 12)
MODELS = {
    "openai": "openai/gpt-image-2.6-sunburst",
    "openrouter": "openai/gpt-image-2",
    "siliconflow": "black-forest-labs/flux-kontext-dev",
}
# What is large by default, made small.
NUMBERS = {"hugebody": 100, "huge_url": 60, "delay": 0.1}
PICTURE_METADATA = canary("picture")
PICTURE = with_png_chunks(
    encoded(gradient(64, 48), "PNG"),
    chunk(b"tEXt", b"Comment\0" + PICTURE_METADATA.encode()),
)


def use_keys(gateway: Gateway, door: Door, used: Used) -> list[str]:
    """Make keys of one account and use each; return them."""
    keys = keys_in(gateway.store)
    account = keys.create("tests")[0].account_id
    ledger = Ledger(gateway.store, owner="tests", clock=now, new_id=new_id)
    ledger.top_up(account, PLENTY)
    made = [
        keys.create("tests", account_id=account, rate_limit=10_000, concurrency=100)
        for _ in range(KEYS)
    ]
    for number, (key, secret) in enumerate(made):
        used.keys[f"key {number}"] = secret
        used.keys[f"the random part of key {number}"] = secret[3:33]
        used.texts[f"repr of key {number}"] = repr(key).encode()
        assert door.get("/v1/credits", secret).status_code == 200
    return [secret for _, secret in made]


def play_faults(door: Door, used: Used, secrets_: list[str]) -> None:
    """Have every fault of the simulator, through each door in turn; from a vendor, or from all."""

    def play(number: int, model: str, directive: str, fields: dict[str, str]) -> None:
        edit = Edit(fields, (PICTURE,))
        key = secrets_[number % len(secrets_)]
        if number % 3 == 0:
            door.http(edit, key, **{"idempotency-key": directive})
        else:
            door.grpc(edit, key, streamed=number % 3 == 1)

    jobs = []
    for name in FAULTS:
        number = f"={NUMBERS[name]}" if name in NUMBERS else ""
        vendors = list(MODELS.items())
        one = (len(jobs) + len(jobs) // 3) % len(vendors)  # every vendor through every door
        for vendor, model in whole.of(vendors, vendors[one : one + 1]):
            directive = f"[sandbox {name}{number}]"
            fields = used.fields(model, directive)
            jobs.append((len(jobs), model, f"{vendor} {name}", fields))
    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(play, *job) for job in jobs]:
            future.result()


def ask_badly(gateway: Gateway, door: Door, used: Used, secret: str) -> None:
    """Make every mistake that a caller can, and some repeats."""
    sunburst = MODELS["openai"]
    plain = Edit(used.fields(sunburst), (PICTURE,))
    door.http(plain, secret, **{"idempotency-key": "one"})
    door.http(plain, secret, **{"idempotency-key": "one"})
    door.http(plain, secret, **{"x-stainless-retry-count": "1"})
    door.http(Edit(used.fields(sunburst), (PICTURE,)), secret, **{"idempotency-key": "one"})
    door.http(Edit(used.fields(sunburst), (PICTURE,)), secret, **{"idempotency-key": "é" * 300})
    stranger = used.keys["a key that nobody has"] = key_format.new_key()
    malformed = used.keys["a malformed key"] = key_format.new_key()[:-1] + "!"
    keys = keys_in(gateway.store)
    revoked, revoked_secret = keys.create("tests")
    poor = used.keys["a key without credit"] = keys.create("tests")[1]
    limited = used.keys["a key of one model"] = keys.create("tests", models=["a/b"])[1]
    used.keys["a revoked key"] = revoked_secret
    keys.revoke(revoked.id)
    for key in (stranger, malformed, revoked_secret, poor, limited):
        edit = Edit(used.fields(sunburst), (PICTURE,))
        door.http(edit, key)
        door.grpc(edit, key)
        door.grpc(edit, key, streamed=True)
    basic = base64.b64encode(f"user:{secret}".encode()).decode()
    door.get("/v1/credits", secret, authorization=f"Basic {basic}")
    door.get(f"/v1/models?api_key={secret}", secret)
    for change in (
        {"n": "2"},
        {"size": "7x7x7"},
        {"quality": "best"},
        {"model": "no/such"},
        {"seed": "x"},
        {"unknown": "field"},
        {"prompt": f"{canary('prompt')} " * 1_000},
        {"user": "u" * 600},
    ):
        fields = used.fields(sunburst)
        if "prompt" in change:
            used.prompts[f"prompt {len(used.prompts)}"] = change["prompt"].split()[0]
        door.http(Edit(fields | change, (PICTURE,)), secret)
    for images, mask in (
        ((PICTURE[:200],), None),
        ((PICTURE_METADATA.encode(),), None),
        ((PICTURE,), PICTURE_METADATA.encode()),
        ((PICTURE,), encoded(gradient(8, 8), "PNG")),
        ((), None),
    ):
        door.http(Edit(used.fields(sunburst), images, mask), secret)
        door.grpc(Edit(used.fields(sunburst), images, mask), secret)
    with gateway.stub() as stub, suppress(grpc.RpcError):
        stub.EditImage(  # a message whose fields are not what the front sends
            pb.EditImageRequest(model=sunburst, prompt=used.fields(sunburst)["prompt"], size="x"),
            metadata=(("authorization", f"Bearer {secret}"), ("idempotency-key", "x" * 300)),
        )


def look_inside(gateway: Gateway, used: Used) -> None:
    """Keep what debuggers and crash reports show of the objects that hold secrets."""
    settings = read_settings(gateway.environment)
    used.texts |= {
        "repr of the service's settings": repr(settings).encode(),
        "repr of the front's settings": repr(read_front(gateway.environment)).encode(),
        "repr of an endpoint": repr(
            [Endpoint(name, "https://host/v1", key) for name, key in used.upstream_keys.items()]
        ).encode(),
        "the service's attributes": repr(vars(gateway.service)).encode(),
    }
