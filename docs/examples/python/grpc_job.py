"""Start an edit as a job over gRPC, leave, and fetch its picture: grpc_job.py IMAGE MASK OUTPUT."""

import os
import sys

from imageedit.client import ImageEditError, connect

image, mask, output = sys.argv[1:]
address = os.environ.get("IMAGEEDIT_GRPC_ADDRESS", "127.0.0.1:50051")

try:
    with connect(address, os.environ["IMAGEEDIT_KEY"]) as client:
        job = client.jobs.start(
            "openai/gpt-image-2",
            "turn the sky into a watercolor sunset",
            image,
            mask=mask,  # opaque pixels are edited, transparent ones stay
        )
    # The edit goes on by itself; another process may ask for it, with any key of the account.
    with connect(address, os.environ["IMAGEEDIT_KEY"]) as client:
        while not job.done:
            print(f"job {job.id} is {job.state}")
            job = client.jobs.wait(job.id, timeout=5)
        result = client.jobs.result(job.id)  # raises the job's error where it failed
        result.save(output)
        client.jobs.forget(job.id)
except ImageEditError as error:
    sys.exit(f"{error.code}: {error} (request {error.request_id})")

print(f"{output}: {result.width}x{result.height}, ${result.usage.cost}")
