"""`python -m tests.stalled_caller ADDRESS KEY`: begins an upload, says so, and never goes on."""

from __future__ import annotations

import sys

import grpc

from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from tests.lone_service import Stalling

if __name__ == "__main__":
    address, key = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        metadata = (("authorization", f"Bearer {key}"),)
        call = ImageEditStub(channel).StreamEditImage(iter(Stalling()), metadata=metadata)
        call.initial_metadata()
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        list(call)
