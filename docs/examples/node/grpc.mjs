// Edit a picture of any size over gRPC, by the contract alone: node grpc.mjs IMAGE MASK OUTPUT
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const CHUNK = 1 << 20; // the most that a message may carry
const [image, mask, output] = process.argv.slice(2);
const address = process.env.IMAGEEDIT_GRPC_ADDRESS ?? "127.0.0.1:50051";

const definition = loadSync("imageedit/v1/image_edit.proto", {
  includeDirs: [fileURLToPath(new URL("../../../proto", import.meta.url))],
  longs: Number,
});
const { ImageEdit } = grpc.loadPackageDefinition(definition).imageedit.v1;
const client = new ImageEdit(address, grpc.credentials.createInsecure());

const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${process.env.IMAGEEDIT_KEY}`);
const call = client.StreamEditImage(metadata, { deadline: Date.now() + 360_000 });

async function send(field, path) {
  const data = await readFile(path);
  for (let at = 0; at < data.length; at += CHUNK) {
    call.write({ [field]: { index: 0, data: data.subarray(at, at + CHUNK) } });
  }
}

try {
  call.write({
    parameters: { model: "openai/gpt-image-2", prompt: "turn the sky into a watercolor sunset" },
  });
  await send("imageChunk", image);
  await send("maskChunk", mask);
  call.end();

  let facts;
  const pieces = [];
  for await (const event of call) {
    if (event.progress) console.log(`still at work after ${event.progress.elapsedSeconds} s`);
    if (event.result) facts = event.result;
    if (event.resultChunk) pieces.push(event.resultChunk.data);
  }
  await writeFile(output, Buffer.concat(pieces));
  console.log(`${output}: ${facts.width}x${facts.height}, $${facts.usage.costNanos / 1e9}`);
} catch (error) {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
} finally {
  client.close();
}
