// Makes edits with OpenAI's Node package, all at once, and prints what came of each as one JSON
// object. Standard input is a JSON document: from a name to `baseURL`, `apiKey`, `params`, `path`
// and perhaps `stream` (the picture is read while it is sent), `timeout` in milliseconds and
// `idempotencyKey`. A `then` of the same shape is made after its call.

import fs from "node:fs";
import OpenAI, { toFile } from "openai";

async function outcome({ baseURL, apiKey, params, path, stream, timeout, idempotencyKey, then }) {
  const client = new OpenAI({ baseURL, apiKey });
  const image = stream
    ? fs.createReadStream(path)
    : await toFile(fs.readFileSync(path), path, { type: "image/png" });
  const options = {
    ...(timeout && { timeout }),
    ...(idempotencyKey && { headers: { "Idempotency-Key": idempotencyKey } }),
  };
  const told = {};
  try {
    const { data, response } = await client.images.edit({ ...params, image }, options).withResponse();
    told.status = response.status;
    told.picture = data.data[0].b64_json;
    told.replayed = response.headers.get("idempotent-replayed") === "true";
  } catch (error) {
    told.status = error.status ?? 0;
    told.raised = `${error.constructor.name}: ${error.message}`;
  }
  if (then) told.then = await outcome(then);
  return told;
}

const calls = Object.entries(JSON.parse(fs.readFileSync(0, "utf8")));
const outcomes = calls.map(async ([name, call]) => [name, await outcome(call)]);
console.log(JSON.stringify(Object.fromEntries(await Promise.all(outcomes))));
