"""Models, health, metrics, the description, and the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1.health_pb2 import HealthCheckResponse

from gateway_http import settings
from gateway_http.parameters import FIELDS
from gateway_http.settings import Settings, SettingsError
from gateway_http.words import ENUMS, words
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import FakeServicer, Fault, serving
from tests.front_running import KEY, Front, edited, form, in_process

MODEL = pb.Model(
    id="openai/gpt-image-2",
    create_time=Timestamp(seconds=1776729600),
    owned_by="openai",
    name="GPT Image 2",
    description="…",
    input_modalities=["text", "image"],
    output_modalities=["image"],
    features=["image_edit"],
    pricing={"prompt": "0.000005", "image_token": "0.000008", "image_output": "0.00003"},
    supported_parameters=["prompt", "image", "mask"],
    max_input_images=16,
)
ENTRY = {
    "id": "openai/gpt-image-2",
    "object": "model",
    "created": 1776729600,
    "owned_by": "openai",
    "name": "GPT Image 2",
    "description": "…",
    "architecture": {
        "modality": "text+image->image",
        "input_modalities": ["text", "image"],
        "output_modalities": ["image"],
        "features": ["image_edit"],
    },
    "capabilities": ["image_edit"],
    "pricing": {"prompt": "0.000005", "image_token": "0.000008", "image_output": "0.00003"},
    "supported_parameters": ["prompt", "image", "mask"],
    "max_input_images": 16,
    "expiration_date": None,
}


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def test_the_list_of_models(fake: FakeServicer, front: Front) -> None:
    going = pb.Model(id="a/b", expiration_date="2026-12-01")
    fake.queue("ListModels", pb.ListModelsResponse(models=[MODEL, going]))
    answer = front.app.test_client().get("/v1/models", headers={"Authorization": "wrong"})
    assert answer.json is not None
    assert (answer.json["object"], answer.json["data"][0]) == ("list", ENTRY)
    assert answer.json["data"][1]["expiration_date"] == "2026-12-01"
    assert fake.calls[0].metadata["x-request-id"] == answer.headers["x-request-id"]
    # Nobody needs a key here, but the service says what a valid one may do.
    assert fake.calls[0].metadata["authorization"] == "wrong"


@pytest.mark.parametrize(
    "alias", ["openai/gpt-image-2", "openai%2Fgpt-image-2", "openai%252Fgpt-image-2"]
)
def test_one_model(fake: FakeServicer, front: Front, alias: str) -> None:
    fake.queue("GetModel", pb.GetModelResponse(model=MODEL))
    answer = front.app.test_client().get(f"/v1/models/{alias}")
    assert answer.json == ENTRY
    assert fake.calls[0].messages == [pb.GetModelRequest(model="openai/gpt-image-2")]


def test_a_model_that_is_not_there(fake: FakeServicer, front: Front) -> None:
    fault = Fault(grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CAPABILITY_MISMATCH")
    fake.queue("GetModel", fault)
    answer = front.app.test_client().get("/v1/models/a/b")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"]["code"] == "model_capability_mismatch"
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_health_and_readiness(fake: FakeServicer, front: Front) -> None:
    client = front.app.test_client()
    assert client.get("/readyz").status_code == 200
    fake.health.set("", HealthCheckResponse.NOT_SERVING)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    fake.health.set("", HealthCheckResponse.SERVING)
    assert client.get("/readyz").status_code == 200
    front.drain.begin()
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_readiness_without_a_service() -> None:
    nobody = FakeServicer()
    nobody.address = "unix:/nonexistent/socket"
    with in_process(nobody) as front:
        assert front.app.test_client().get("/readyz").status_code == 503
        assert front.app.test_client().get("/healthz").status_code == 200


def test_metrics_and_log_count_an_edit(fake: FakeServicer, front: Front) -> None:
    fake.queue("EditImage", edited())
    client = front.app.test_client()
    path = "/v1/images/edits?key=sk-query"
    with client.post(path, **form(prompt="secret wish"), headers=KEY) as answer:
        sent = len(answer.data)
    client.get("/nowhere/at/all").close()
    with client.get("/metrics") as scraped:
        lines = scraped.text.splitlines()
    name = "imageedit_http_requests_total"
    assert f'{name}{{method="POST",route="/v1/images/edits",status="200"}} 1.0' in lines
    assert f'{name}{{method="GET",route="none",status="404"}} 1.0' in lines
    assert 'imageedit_http_request_seconds_count{route="/v1/images/edits"} 1.0' in lines
    assert "imageedit_http_requests_in_flight 1.0" in lines
    line = front.log[0]
    assert (line["event"], line["method"], line["path"]) == ("request", "POST", "/v1/images/edits")
    assert (line["status"], line["bytes_out"]) == (200, sent)
    assert line["bytes_in"] > 300
    assert line["request_id"] == answer.headers["x-request-id"]
    for secret in ("secret wish", "sk-test", "sk-query", "front never looks"):
        assert secret not in front.stream.getvalue()


def test_the_description_names_what_there_is(front: Front) -> None:
    answer = front.app.test_client().get("/openapi.json")
    assert answer.json is not None
    paths = set(answer.json["paths"])
    every = front.app.url_map.iter_rules()
    # Pages are for people, not for programs.
    rules = {rule.rule for rule in every if not rule.endpoint.startswith("pages.")}
    assert paths == {
        rule.replace("<path:alias>", "{brand}/{model}").replace("<job_id>", "{job_id}")
        for rule in rules
    }
    schema = answer.json["components"]["schemas"]["EditForm"]["properties"]
    assert set(schema) == FIELDS | {"image", "image[]", "mask"}
    body = answer.json["components"]["schemas"]["EditBody"]["properties"]
    assert set(body) == FIELDS | {"images", "mask"}
    for name, enum in ENUMS.items():
        assert schema[name]["enum"] == list(words(enum))
    for name in ("Error", "Edit", "Model", "ModelList"):
        assert name in answer.json["components"]["schemas"]
    assert set(ENTRY) == set(answer.json["components"]["schemas"]["Model"]["properties"])


def test_options_and_head(front: Front) -> None:
    client = front.app.test_client()
    options = client.options("/v1/images/edits")
    assert (options.status_code, set(options.headers["Allow"].split(", "))) == (
        200,
        {"POST", "OPTIONS"},
    )
    head = client.head("/healthz")
    assert (head.status_code, head.data) == (200, b"")


def test_settings_have_defaults() -> None:
    assert settings.read({}) == Settings(("127.0.0.1", 8080), "127.0.0.1:50051", 300.0, 320, None)
    assert settings.read({"IMAGEEDIT_HTTP_ADDRESS": " "}) == settings.read({})


def test_settings_are_read(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_bytes(b"pem")
    given = {
        "IMAGEEDIT_HTTP_ADDRESS": "[::1]:0",
        "IMAGEEDIT_GRPC_ADDRESS": "unix:/run/x.sock",
        "IMAGEEDIT_ATTEMPT_TIMEOUT": "12.5",
        "IMAGEEDIT_HTTP_THREADS": "64",
        "IMAGEEDIT_GRPC_CA": str(pem),
        "IMAGEEDIT_GRPC_CLIENT_CERT": str(pem),
        "IMAGEEDIT_GRPC_CLIENT_KEY": str(pem),
    }
    read = settings.read(given)
    assert read.http_address == ("::1", 0)
    assert (read.grpc_address, read.attempt_timeout, read.threads) == ("unix:/run/x.sock", 12.5, 64)
    assert read.tls == settings.Tls(b"pem", b"pem", b"pem")
    assert "key" not in repr(read.tls)


@pytest.mark.parametrize(
    "address",
    [
        "dns:///imageedit-service:50051",
        "dns://10.0.0.1/imageedit-service.images.svc.cluster.local:50051",
        "dns:imageedit-service:50051",
        "ipv4:10.0.0.1:50051,10.0.0.2:50051",
        "ipv6:[::1]:50051,[::2]:50051",
    ],
)
def test_several_services_are_named_in_grpcs_own_syntax(address: str) -> None:
    assert settings.read({"IMAGEEDIT_GRPC_ADDRESS": address}).grpc_address == address
    assert settings.names_several(address)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAGEEDIT_HTTP_ADDRESS", "8080"),
        ("IMAGEEDIT_HTTP_ADDRESS", "localhost:99999"),
        ("IMAGEEDIT_HTTP_ADDRESS", "unix:/x"),
        ("IMAGEEDIT_GRPC_ADDRESS", "nowhere"),
        ("IMAGEEDIT_GRPC_ADDRESS", "unix:"),
        ("IMAGEEDIT_GRPC_ADDRESS", "dns:///"),
        ("IMAGEEDIT_GRPC_ADDRESS", "http://service:50051"),
        ("IMAGEEDIT_ATTEMPT_TIMEOUT", "0"),
        ("IMAGEEDIT_ATTEMPT_TIMEOUT", "-1"),
        ("IMAGEEDIT_ATTEMPT_TIMEOUT", "nan"),
        ("IMAGEEDIT_ATTEMPT_TIMEOUT", "5m"),
        ("IMAGEEDIT_HTTP_THREADS", "0"),
        ("IMAGEEDIT_HTTP_THREADS", "many"),
        ("IMAGEEDIT_GRPC_CA", "/nonexistent/ca.pem"),
        ("IMAGEEDIT_GRPC_CLIENT_KEY", __file__),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.read({name: value})
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
