"""Edit a small picture over gRPC with nothing but generated code: grpc_stub.py IMAGE MASK OUTPUT.

`EditImage` has the pictures in the messages; StreamEditImage takes pictures of any size in chunks.
"""

import os
import sys
from pathlib import Path

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub

image, mask, output = map(Path, sys.argv[1:])
address = os.environ.get("IMAGEEDIT_GRPC_ADDRESS", "127.0.0.1:50051")
# The answer is one message; gRPC's own limit is 4 MiB.
options = [("grpc.max_receive_message_length", 64 << 20)]

with grpc.insecure_channel(address, options) as channel:
    try:
        answer = ImageEditStub(channel).EditImage(
            pb.EditImageRequest(
                model="openai/gpt-image-2",
                prompt="turn the sky into a watercolor sunset",
                images=[pb.Image(data=image.read_bytes())],
                mask=pb.Image(data=mask.read_bytes()),
            ),
            metadata=[("authorization", f"Bearer {os.environ['IMAGEEDIT_KEY']}")],
            timeout=360,
        )
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")

output.write_bytes(answer.image.data)
print(f"{output}: {answer.width}x{answer.height}, ${answer.usage.cost_nanos / 1e9}")
