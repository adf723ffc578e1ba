// Edit a picture over HTTP with OpenAI's own package: node http_openai.mjs IMAGE MASK OUTPUT
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import OpenAI, { APIError } from "openai";

const [image, mask, output] = process.argv.slice(2);
const url = process.env.IMAGEEDIT_URL ?? "http://127.0.0.1:8080";
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.IMAGEEDIT_KEY });

try {
  const answer = await client.images.edit({
    model: "openai/gpt-image-2",
    prompt: "turn the sky into a watercolor sunset",
    image: createReadStream(image),
    mask: createReadStream(mask), // opaque pixels are edited, transparent ones stay
  });
  await writeFile(output, Buffer.from(answer.data[0].b64_json, "base64"));
  console.log(`${output}: ${answer.size}, $${answer.usage.cost}`);
} catch (error) {
  if (!(error instanceof APIError)) throw error;
  console.error(`${error.code}: ${error.message} (request ${error.requestID})`);
  process.exitCode = 1;
}
