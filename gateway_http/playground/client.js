// The gateway's HTTP API, asked from where this file came from.

import { EventReader } from "./events.js";
import { authorization } from "./key.js";
import { Problem } from "./problems.js";

/** The API's address, which ends in "/v1". */
export const BASE = new URL("../v1", import.meta.url).href;

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(`${BASE}/${path}`, { cache: "no-store", ...options });
  } catch (error) {
    throw error.name === "AbortError" ? error : Problem.unanswered();
  }
  if (!response.ok) throw await Problem.of(response);
  return response;
}

/** Return the models that can edit, as `GET /v1/models` lists them. */
export async function listModels() {
  const { data } = await (await ask("models")).json();
  return data.filter((model) => model.capabilities.includes("image_edit"));
}

/** Return the account's credits: `balance`, `held` and `spent`, in dollars. */
export async function credits(signal) {
  return (await ask("credits", { headers: authorization(), signal })).json();
}

/** Return the sums over the account's edits that `query` (URLSearchParams) means. */
export async function usage(query, signal) {
  return (await ask(`usage?${query}`, { headers: authorization(), signal })).json();
}

/** Return a page of the account's edits. */
export async function listEdits(query, signal) {
  return (await ask(`usage/edits?${query}`, { headers: authorization(), signal })).json();
}

/** Return all of them as the Blob of a CSV file. */
export async function editsAsTable(query) {
  const headers = { ...authorization(), Accept: "text/csv" };
  return (await ask(`usage/edits?${query}`, { headers })).blob();
}

/** Return the most that an edit can cost, in dollars. */
export async function estimate(question, signal) {
  const response = await ask("images/edits/estimate", {
    method: "POST",
    headers: { ...authorization(), "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
  return (await response.json()).max_cost;
}

/** Return a new value for the header Idempotency-Key. */
export function newIdempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // there without TLS, too
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Edit a picture, streamed.
 *
 * `form` is the FormData of the edit. Calls `onPartial` with the event of each partial picture;
 * returns the event of the finished one with its `requestId`. Throws a Problem, or an AbortError
 * once `signal` says so.
 */
export async function edit(form, idempotencyKey, { signal, onPartial }) {
  const response = await ask("images/edits", {
    method: "POST",
    headers: { ...authorization(), "Idempotency-Key": idempotencyKey },
    body: form,
    signal,
  });
  const requestId = response.headers.get("x-request-id") ?? "";
  for await (const event of streamed(response)) {
    if (event.type === "image_edit.partial_image") onPartial(event);
    if (event.type === "image_edit.completed") return { ...event, requestId };
    if (event.type === "error") {
      const { status, error, retry_after: retryAfter = null } = event;
      throw new Problem({ ...error, status, retryAfter, requestId });
    }
  }
  throw Problem.unanswered();
}

async function* streamed(response) {
  const reader = response.body.getReader();
  const [decoder, events] = [new TextDecoder(), new EventReader()];
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw error.name === "AbortError" ? error : Problem.unanswered();
    }
    if (piece.done) return;
    yield* events.push(decoder.decode(piece.value, { stream: true }));
  }
}
