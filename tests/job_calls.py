"""The door of jobs: edits that are started over HTTP, looked at, fetched and dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.edits import Edit
from tests.interrupted import prepared
from tests.running import eventually

UNDER_WAY = ("queued", "in_progress")


@dataclass(frozen=True)
class Jobs:
    """The jobs of one key at the front that listens at `url`."""

    url: str
    key: str

    @property
    def authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def post(
        self, edit: Edit | None = None, query: str = "async=true", **headers: str
    ) -> requests.Response:
        """Ask for a job; names of headers have underscores for their hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = prepared(self.url, edit or Edit(), self.authorization | named)
        request.url = f"{request.url}?{query}" if query else request.url
        with requests.Session() as session:
            return session.send(request, timeout=30)

    def start(self, edit: Edit | None = None, **headers: str) -> str:
        """Return the id of a job that was begun."""
        answer = self.post(edit, **headers)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def get(self, job_id: str, what: str = "") -> requests.Response:
        return requests.get(self._path(job_id) + what, headers=self.authorization, timeout=30)

    def content(self, job_id: str) -> requests.Response:
        return self.get(job_id, "/content")

    def delete(self, job_id: str) -> requests.Response:
        return requests.delete(self._path(job_id), headers=self.authorization, timeout=30)

    def ended(self, job_id: str, seconds: float = 10.0) -> dict[str, Any]:
        """Return what is told of a job once it is not under way any more."""
        told: dict[str, Any] = {}

        def is_over() -> bool:
            told.clear()
            told.update(self.get(job_id).json())
            return told["status"] not in UNDER_WAY

        assert eventually(is_over, seconds), told
        return told

    def _path(self, job_id: str) -> str:
        return f"{self.url}/v1/jobs/{job_id}"
