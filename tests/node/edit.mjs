// Makes calls with OpenAI's Node package, as many at once as there are, and prints what came of
// each as one JSON object. Standard input is a JSON document: `baseURL`, `apiKey` and `calls`, from
// a name to `method` ("edit", "stream", "models" or "model"), `params` in the order to send them, and perhaps
// another `apiKey`. A picture in `params` is {form, path}, with `name` and `type` for a "file".

import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const forms = {
  stream: ({ path }) => fs.createReadStream(path),
  file: ({ path, name, type }) => toFile(fs.readFileSync(path), name, { type }),
  nameless: ({ path }) => toFile(fs.readFileSync(path)),
  File: ({ path, name }) => new File([fs.readFileSync(path)], name),
};

const methods = {
  edit: (client, params) => client.images.edit(params),
  stream: (client, params) => client.images.edit({ ...params, stream: true }),
  models: (client) => client.models.list(),
  model: (client, params) => client.models.retrieve(params.model),
};

async function opened(value) {
  if (Array.isArray(value)) return Promise.all(value.map(opened));
  return value.form ? forms[value.form](value) : value;
}

async function outcome(baseURL, apiKey, { method, params }) {
  const filled = {};
  const events = [];
  for (const [name, value] of Object.entries(params)) filled[name] = await opened(value);
  try {
    const client = new OpenAI({ baseURL, apiKey });
    const { data, response, request_id } = await methods[method](client, filled).withResponse();
    const told = { headers: Object.fromEntries(response.headers), requestID: request_id };
    if (method !== "stream") return { data, ...told };
    for await (const event of data) events.push(event);
    return { events, ...told };
  } catch (error) {
    const { status, code, type, param, requestID, message } = error;
    return { raised: error.constructor.name, status, code, type, param, requestID, message, events };
  }
}

const { baseURL, apiKey, calls } = JSON.parse(fs.readFileSync(0, "utf8"));
const outcomes = Object.entries(calls).map(async ([name, call]) => [
  name,
  await outcome(baseURL, call.apiKey ?? apiKey, call),
]);
console.log(JSON.stringify(Object.fromEntries(await Promise.all(outcomes))));
