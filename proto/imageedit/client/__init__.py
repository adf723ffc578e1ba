"""A thin, typed client of the gRPC service: connect, edit, follow an edit, catch its error.

    from imageedit.client import ImageEditError, connect

    with connect("127.0.0.1:50051", key) as client:
        result = client.edit("openai/gpt-image-2", "make it snow", "photo.png", mask="sky.png")
        result.save("snow.png")

An edit that shall go on by itself is a job: `client.jobs` starts, waits for and fetches it.

Everything here blocks, and may be used by several threads. Nothing is ever repeated by itself: an
edit costs money, so that is the caller's decision (`ImageEditError.retry_after`).
"""

from imageedit.client.answers import Credits, Model, Result, Usage
from imageedit.client.calls import Client
from imageedit.client.connection import connect
from imageedit.client.errors import ImageEditError
from imageedit.client.events import Accepted, Event, Partial, Progress
from imageedit.client.jobs import Job, Jobs
from imageedit.client.request import Picture

__all__ = [
    "Accepted",
    "Client",
    "Credits",
    "Event",
    "ImageEditError",
    "Job",
    "Jobs",
    "Model",
    "Partial",
    "Picture",
    "Progress",
    "Result",
    "Usage",
    "connect",
]
