"""Edit a picture over gRPC with the client of this project: grpc_client.py IMAGE MASK OUTPUT."""

import os
import sys

from imageedit.client import ImageEditError, Partial, Progress, Result, connect

image, mask, output = sys.argv[1:]
address = os.environ.get("IMAGEEDIT_GRPC_ADDRESS", "127.0.0.1:50051")

with connect(address, os.environ["IMAGEEDIT_KEY"]) as client:
    try:
        for event in client.stream(
            "openai/gpt-image-2",
            "turn the sky into a watercolor sunset",
            image,
            mask=mask,  # opaque pixels are edited, transparent ones stay
            partial_images=1,
        ):
            match event:
                case Progress(seconds):
                    print(f"still at work after {seconds:.0f} s")
                case Partial(index, picture):
                    print(f"partial picture {index}: {len(picture)} bytes")
                case Result():
                    event.save(output)
                    print(f"{output}: {event.width}x{event.height}, ${event.usage.cost}")
    except ImageEditError as error:
        sys.exit(f"{error.code}: {error} (request {error.request_id})")
