"""The service's settings: defaults of the contract, and complaints that name the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import Settings, SettingsError, read_settings

PEM = str(Path(__file__))


def test_the_defaults_are_the_contracts() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert settings.grpc_address == "127.0.0.1:50051"
    assert settings.database_url == "sqlite:///var/imageedit.db"
    assert settings.attempt_timeout == 300
    assert (settings.cancel, settings.breaker_faults) == ("finish", 5)
    assert settings.max_pixels == 4096 * 4096
    assert settings.provider_keys == {}
    assert settings.reflection is False


def test_empty_is_unset() -> None:
    assert read_settings({"OPENAI_API_KEY": " ", "IMAGEEDIT_GRPC_ADDRESS": ""}) == Settings()


def test_everything_can_be_set() -> None:
    settings = read_settings(
        {
            "IMAGEEDIT_GRPC_ADDRESS": "unix:/run/imageedit.sock",
            "IMAGEEDIT_DATABASE_URL": "postgresql://db/imageedit",
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_BASE_URL": "https://eu.example/v1/",
            "SILICONFLOW_API_KEY": "sf",
            "IMAGEEDIT_DOWNLOAD_ORIGINS": "http://127.0.0.1:9000, https://files.example",
            "IMAGEEDIT_CATALOG": PEM,
            "IMAGEEDIT_ATTEMPT_TIMEOUT": "2.5",
            "IMAGEEDIT_CANCEL": "unbilled",
            "IMAGEEDIT_BREAKER_FAULTS": "0",
            "IMAGEEDIT_MAX_EDITS": "7",
            "IMAGEEDIT_MAX_BYTES": "200000000",
            "IMAGEEDIT_MAX_PIXELS": "1000000",
            "IMAGEEDIT_METRICS_ADDRESS": "0.0.0.0:50052",
            "IMAGEEDIT_GRPC_REFLECTION": "true",
            "IMAGEEDIT_TLS_CERT": PEM,
            "IMAGEEDIT_TLS_KEY": PEM,
            "IMAGEEDIT_TLS_CLIENT_CA": PEM,
        }
    )
    assert settings.provider_keys == {"openai": "sk-1", "siliconflow": "sf"}
    assert settings.base_urls == {"openai": "https://eu.example/v1"}
    assert settings.download_origins == ("http://127.0.0.1:9000", "https://files.example")
    assert (settings.attempt_timeout, settings.max_edits) == (2.5, 7)
    assert (settings.cancel, settings.breaker_faults) == ("unbilled", 0)
    assert settings.max_bytes == 200_000_000
    assert settings.reflection is True
    assert settings.metrics_address == "0.0.0.0:50052"


WRONG = [
    ({"IMAGEEDIT_GRPC_ADDRESS": "nowhere"}, "IMAGEEDIT_GRPC_ADDRESS.*HOST:PORT"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:99999"}, "IMAGEEDIT_GRPC_ADDRESS"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "unix:"}, "IMAGEEDIT_GRPC_ADDRESS"),
    ({"IMAGEEDIT_ATTEMPT_TIMEOUT": "soon"}, "IMAGEEDIT_ATTEMPT_TIMEOUT.*seconds"),
    ({"IMAGEEDIT_ATTEMPT_TIMEOUT": "0"}, "IMAGEEDIT_ATTEMPT_TIMEOUT"),
    ({"IMAGEEDIT_ATTEMPT_TIMEOUT": "nan"}, "IMAGEEDIT_ATTEMPT_TIMEOUT"),
    ({"IMAGEEDIT_ATTEMPT_TIMEOUT": "inf"}, "IMAGEEDIT_ATTEMPT_TIMEOUT"),
    ({"IMAGEEDIT_CANCEL": "always"}, "IMAGEEDIT_CANCEL.*finish nor unbilled"),
    ({"IMAGEEDIT_BREAKER_FAULTS": "-1"}, "IMAGEEDIT_BREAKER_FAULTS.*0 or more"),
    ({"IMAGEEDIT_MAX_EDITS": "-1"}, "IMAGEEDIT_MAX_EDITS"),
    ({"IMAGEEDIT_MAX_BYTES": "1 GiB"}, "IMAGEEDIT_MAX_BYTES"),
    ({"IMAGEEDIT_MAX_PIXELS": "many"}, "IMAGEEDIT_MAX_PIXELS"),
    ({"IMAGEEDIT_CATALOG": "/no/such/file"}, "IMAGEEDIT_CATALOG.*not a file"),
    ({"OPENAI_BASE_URL": "api.openai.com"}, "OPENAI_BASE_URL.*http"),
    ({"IMAGEEDIT_METRICS_ADDRESS": "unix:/x"}, "IMAGEEDIT_METRICS_ADDRESS.*not HOST:PORT"),
    ({"IMAGEEDIT_GRPC_REFLECTION": "maybe"}, "IMAGEEDIT_GRPC_REFLECTION.*1 nor 0"),
    ({"IMAGEEDIT_DOWNLOAD_ORIGINS": "ftp://x"}, "IMAGEEDIT_DOWNLOAD_ORIGINS"),
    ({"IMAGEEDIT_DATABASE_URL": "mydb"}, "IMAGEEDIT_DATABASE_URL"),
    ({"IMAGEEDIT_TLS_CERT": PEM}, "IMAGEEDIT_TLS_CERT and IMAGEEDIT_TLS_KEY"),
    ({"IMAGEEDIT_TLS_CLIENT_CA": PEM}, "IMAGEEDIT_TLS_CLIENT_CA needs"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "0.0.0.0:50051"}, "clear.*IMAGEEDIT_TLS_CERT"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "[::]:50051"}, "clear"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "host.example:50051"}, "clear"),
]


@pytest.mark.parametrize(("environment", "complaint"), WRONG)
def test_a_wrong_value_is_named(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_settings(environment)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x"])
def test_loopback_needs_no_tls(address: str) -> None:
    assert read_settings({"IMAGEEDIT_GRPC_ADDRESS": address}).grpc_address == address


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://u:p@h/0", "redis+unix:///run/redis.sock"]
)
def test_urls_of_redis(url: str) -> None:
    assert read_settings({"IMAGEEDIT_REDIS_URL": url}).redis_url == url


def test_no_tls_beyond_loopback_must_be_asked_for() -> None:
    environment = {"IMAGEEDIT_GRPC_ADDRESS": "0.0.0.0:1", "IMAGEEDIT_GRPC_INSECURE": "1"}
    assert read_settings(environment).insecure is True


def test_keys_are_not_in_messages_nor_in_the_representation() -> None:
    settings = read_settings({"OPENAI_API_KEY": "sk-canary"})
    assert "canary" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        read_settings({"OPENAI_API_KEY": "sk-canary\twith tab"})
    assert "canary" not in str(caught.value)
