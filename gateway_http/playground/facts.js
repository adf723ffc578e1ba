// What is told of an edit beside its picture.

import { $, make } from "./element.js";
import { dollars, seconds } from "./prices.js";

/** Show the facts of a run, as far as it is. */
export function tellFacts(run) {
  const rows = { Model: run.order.model, Prompt: run.order.prompt, ...(run.facts ? told(run) : {}) };
  $("facts").replaceChildren(
    ...Object.entries(rows)
      .filter(([, value]) => value)
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", { className: "number" }, value))),
  );
}

function told({ facts, elapsed }) {
  const { mask_drift: drift } = facts;
  return {
    Cost: dollars(facts.usage.cost),
    Time: seconds(elapsed),
    Size: `${facts.size} ${facts.output_format}`,
    "Mask method": facts.mask_method,
    Drift: drift === undefined ? "" : `${drift} outside the mask, by the model itself`,
    Ignored: facts.ignored_parameters?.join(", "),
    Replayed: facts.idempotent_replayed ? "the stored result; not paid again" : "",
    "Request id": facts.requestId,
  };
}
