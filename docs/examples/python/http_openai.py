"""Edit a picture over HTTP with OpenAI's own package: http_openai.py IMAGE MASK OUTPUT."""

import base64
import os
import sys
from pathlib import Path

from openai import APIStatusError, OpenAI  # pip install openai

image, mask, output = map(Path, sys.argv[1:])
url = os.environ.get("IMAGEEDIT_URL", "http://127.0.0.1:8080")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ["IMAGEEDIT_KEY"])

try:
    answer = client.images.edit(
        model="openai/gpt-image-2",
        prompt="turn the sky into a watercolor sunset",
        image=image,
        mask=mask,  # opaque pixels are edited, transparent ones stay
    )
except APIStatusError as error:
    sys.exit(f"{error.code}: {error.message} (request {error.request_id})")

output.write_bytes(base64.b64decode(answer.data[0].b64_json))
print(f"{output}: {answer.size}, ${answer.usage.cost}")
