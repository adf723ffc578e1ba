"""What the simulator was asked: a bounded list in memory, for tests that count submissions."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from sandbox import pictures
from sandbox.wire import Request, Submission, Upload

MOST = 5_000


@dataclass(frozen=True, slots=True)
class SentPicture:
    """The facts of an uploaded picture; zeros and "" where its header cannot be read."""

    name: str
    content_type: str
    byte_count: int
    sha256: str
    width: int
    height: int
    mode: str

    @classmethod
    def of(cls, upload: Upload) -> SentPicture:
        """Return the facts of `upload`."""
        digest = sha256(upload.data).hexdigest()
        width, height, mode = pictures.facts(upload.data)
        return cls(upload.name, upload.content_type, len(upload.data), digest, width, height, mode)


@dataclass(slots=True)
class Call:
    """One request. It is listed before it is answered.

    `headers` are in lower case, the key replaced by "***". `fields` are the body's without the
    pictures, the prompt with its directives. `when` is Unix seconds. `faults` are the directives
    that were played. `status` is what was answered, `None` as long as nothing was (or for good,
    after faults that never answer); `hung_up` says that the client left before the answer.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    when: float
    fields: Mapping[str, object] = field(default_factory=dict)
    pictures: tuple[SentPicture, ...] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    status: int | None = None
    hung_up: bool = False

    @classmethod
    def of(cls, request: Request, submission: Submission | None = None) -> Call:
        """Return the record of a request that arrives now."""
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0] + " ***"
        call = cls(request.method, request.path, headers, time.time())
        if submission is not None:
            call.fields = submission.fields
            call.pictures = tuple(SentPicture.of(upload) for upload in submission.uploads)
        return call

    def document(self) -> dict[str, object]:
        """Return the call as JSON has it."""
        return asdict(self)


class CallLog:
    """The last `MOST` calls, oldest first; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=MOST)

    def add(self, call: Call) -> None:
        """Append a call."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> tuple[Call, ...]:
        """Return the calls as they are now."""
        with self._lock:
            return tuple(self._calls)

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()

    def before(self, call: Call) -> int:
        """Return how many listed calls before `call` had its path and its prompt."""
        count = 0
        for other in self.all():
            if other is call:
                break
            same = other.path == call.path
            count += same and other.fields.get("prompt") == call.fields.get("prompt")
        return count
