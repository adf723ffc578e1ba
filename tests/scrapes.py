"""Prometheus pages read back: samples by name and labels."""

from __future__ import annotations

import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Return what a page says."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(registry: CollectorRegistry) -> Samples:
    """Return what a page of `registry` says now."""
    return samples(generate_latest(registry).decode())


def scrape(address: str) -> Samples:
    """Return what the page at an address says."""
    answer = requests.get(f"http://{address}/metrics", timeout=10)
    assert answer.status_code == 200
    return samples(answer.text)


def grown(before: Samples, after: Samples, name: str) -> dict[tuple[str, ...], float]:
    """Return by how much the samples of `name` grew, by their labels' values, without zeros."""
    return {
        tuple(value for _, value in labels): value - before.get((found, labels), 0.0)
        for (found, labels), value in after.items()
        if found == name and value != before.get((found, labels), 0.0)
    }
