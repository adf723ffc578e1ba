"""An answer that comes as server-sent events, followed to the event that is the answer.

The format is the HTML standard's `text/event-stream` (9.2.6). What an upstream sends is bounded: no
event is larger than a limit, all together are no larger than four, and the attempt's wall clock
ends a stream that never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from server.providers.picture_events import Event, is_answer, partial_picture

MAX_EVENTS = 4
"""Events of the largest size that one stream may take: the answer, and three partial pictures."""


class Endless(Exception):
    """The stream is over its limit."""


class CutShort(Exception):
    """The stream ended before the event that is its answer."""


def follow(pieces: Iterable[bytes], limit: int, on_partial: Callable[[bytes], None]) -> bytes:
    """Return the data of the event that is the answer, and read nothing after it.

    `on_partial` gets the files of the partial pictures before it. `limit` is the bytes that one
    event may have. Raises Endless, CutShort, and what `on_partial` and `pieces` raise.
    """
    reader, total = EventReader(limit), 0
    for piece in pieces:
        total += len(piece)
        if total > limit * MAX_EVENTS:
            raise Endless(f"the answer's events are over {limit * MAX_EVENTS} bytes")
        for event in reader.feed(piece):
            if is_answer(event):
                return event.data
            picture = partial_picture(event)
            if picture is not None:
                on_partial(picture)
    raise CutShort("the events ended before the answer")


class EventReader:
    """Bytes in pieces of any size in, events out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._after_return = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that end in `piece`; raises Endless for one that is over the limit."""
        if self._after_return:
            piece = piece.removeprefix(b"\n")
        self._after_return = piece.endswith(b"\r") if piece else self._after_return
        # Lines end in CR LF, LF or CR.
        *lines, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._take(line)
            event = self._end_of_line()
            if event is not None:
                yield event
        self._take(rest)

    def _take(self, part: bytes) -> None:
        self._line += part
        self._size += len(part)
        if self._size > self._limit:
            raise Endless(f"an event of the answer is over {self._limit} bytes")

    def _end_of_line(self) -> Event | None:
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return self._end_of_event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field.removeprefix(b"\xef\xbb\xbf"):
            case b"data":
                self._data.append(value)
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"":
                self._size -= len(line)  # a comment
        return None

    def _end_of_event(self) -> Event | None:
        event = Event(self._name, b"\n".join(self._data))
        self._name, self._data, self._size = "", [], 0
        return event if event.data else None
