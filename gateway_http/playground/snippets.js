// The same request as code to copy. The key is read from the environment, never written down.
//
// An order is `{base, model, prompt, fields, images, mask}`: the API's address, the two required
// texts, the other text fields by name, the pictures' file names, and the mask's or null.

const KEY = "IMAGEEDIT_KEY"; // as the command `imageedit` calls it
const GRPC_ADDRESS = "IMAGEEDIT_GRPC_ADDRESS";
const WHOLE_NUMBERS = new Set(["output_compression", "seed"]);
const PYTHON_SDK_LACKS = new Set(["mask_fidelity", "seed"]);

/** Return `text` as one word of a POSIX shell. */
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Return `text` in double quotes, as Python and JavaScript both read it. */
const quoted = (text) => JSON.stringify(text).replace(/[\u2028\u2029\u007f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Return the value of a field as Python and JavaScript write it. */
const literal = (name, value) => (WHOLE_NUMBERS.has(name) ? String(Number(value)) : quoted(value));

/** Return `@"NAME"` as curl's --form reads it, whatever the name. */
const attached = (name) => `@"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const result = ({ fields }) => `edited.${fields.output_format === "jpeg" ? "jpg" : fields.output_format || "png"}`;

/** Return a command for a POSIX shell with curl and jq. */
export function curl(order) {
  const { base, model, prompt, fields, images, mask } = order;
  const field = images.length > 1 ? "image[]" : "image";
  const texts = Object.entries({ model, prompt, ...fields });
  const lines = [
    `curl -sS --fail-with-body ${shell(`${base}/images/edits`)}`,
    `-H "Authorization: Bearer $${KEY}"`,
    ...texts.map(([name, value]) => `--form-string ${shell(`${name}=${value}`)}`),
    ...images.map((name) => `-F ${shell(`${field}=${attached(name)}`)}`),
    ...(mask ? [`-F ${shell(`mask=${attached(mask)}`)}`] : []),
  ];
  return `${lines.join(" \\\n  ")} \\\n  | jq -r '.data[0].b64_json' | base64 -d > ${result(order)}\n`;
}

const path = (name) => `Path(${quoted(name)})`;

/** Return a Python program that uses OpenAI's package. */
export function python(order) {
  const { base, model, prompt, fields, images, mask } = order;
  const files = images.map(path);
  const named = Object.entries(fields).filter(([name]) => !PYTHON_SDK_LACKS.has(name));
  const others = Object.entries(fields).filter(([name]) => PYTHON_SDK_LACKS.has(name));
  const extra = others.map(([name, value]) => `${quoted(name)}: ${literal(name, value)}`).join(", ");
  const given = [
    `model=${quoted(model)}`,
    `prompt=${quoted(prompt)}`,
    `image=${files.length > 1 ? `[${files.join(", ")}]` : files[0]}`,
    ...(mask ? [`mask=${path(mask)}`] : []),
    ...named.map(([name, value]) => `${name}=${literal(name, value)}`),
    ...(extra ? [`extra_body={${extra}}`] : []),
  ];
  return `import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=${quoted(base)}, api_key=os.environ["${KEY}"])
answer = client.images.edit(
${given.map((line) => `    ${line},`).join("\n")}
)
Path("${result(order)}").write_bytes(base64.b64decode(answer.data[0].b64_json))
`;
}

/** Return a program for Node, as an ES module, that uses OpenAI's package. */
export function node(order) {
  const { base, model, prompt, fields, images, mask } = order;
  const files = images.map((name) => `fs.createReadStream(${quoted(name)})`);
  const given = [
    `model: ${quoted(model)}`,
    `prompt: ${quoted(prompt)}`,
    `image: ${files.length > 1 ? `[${files.join(", ")}]` : files[0]}`,
    ...(mask ? [`mask: fs.createReadStream(${quoted(mask)})`] : []),
    ...Object.entries(fields).map(([name, value]) => `${name}: ${literal(name, value)}`),
  ];
  return `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${quoted(base)}, apiKey: process.env.${KEY} });
const answer = await client.images.edit({
${given.map((line) => `  ${line},`).join("\n")}
});
fs.writeFileSync("${result(order)}", Buffer.from(answer.data[0].b64_json, "base64"));
`;
}

/** Return a Python program that calls the gRPC service by the client of this project. */
export function grpc(order) {
  const { model, prompt, fields, images, mask } = order;
  const given = [
    `model=${quoted(model)}`,
    `prompt=${quoted(prompt)}`,
    `images=[${images.map(quoted).join(", ")}]`,
    ...(mask ? [`mask=${quoted(mask)}`] : []),
    ...Object.entries(fields).map(([name, value]) => `${name}=${literal(name, value)}`),
  ];
  return `import os

from imageedit.client import connect

address = os.environ.get("${GRPC_ADDRESS}", "127.0.0.1:50051")
with connect(address, os.environ["${KEY}"]) as client:
    result = client.edit(
${given.map((line) => `        ${line},`).join("\n")}
    )
result.save("${result(order)}")
`;
}
