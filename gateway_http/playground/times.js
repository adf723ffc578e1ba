// How long each model usually takes: the median of the account's own latest edits.

import { listEdits } from "./client.js";

const LATEST = 200;

/** Return the usual seconds by model's alias; of no model where the gateway does not say. */
export async function usualSeconds() {
  try {
    const query = new URLSearchParams({ outcome: "delivered", page_size: LATEST });
    return medians((await listEdits(query)).data);
  } catch {
    return new Map(); // whatever it is, the balance or the estimate says so
  }
}

/** Return the median seconds of `edits`, as `GET /v1/usage/edits` lists them, by model. */
export function medians(edits) {
  const taken = new Map();
  for (const { model, seconds } of edits) taken.set(model, [...(taken.get(model) ?? []), seconds]);
  const middle = (all) => all.sort((one, other) => one - other)[all.length >> 1];
  return new Map([...taken].map(([model, all]) => [model, middle(all)]));
}
