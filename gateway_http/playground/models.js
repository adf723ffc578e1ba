// The list of models to pick from, live from the gateway; several are run side by side.

import { listModels } from "./client.js";
import { make } from "./element.js";
import { daysUntil, dollars, priceOf, seconds } from "./prices.js";

const PICKED = "imageedit.models";

export class ModelList {
  #host;
  #changed;
  #told = new Map(); // from an alias to the element that tells its price and time
  #costs = new Map(); // the most that an edit can cost, where that was asked
  #times = new Map(); // usual seconds, where they are known
  models = new Map();

  /** Fill `host`; `changed` is called when another choice is made. */
  constructor(host, changed) {
    this.#host = host;
    this.#changed = changed;
  }

  /** Ask the gateway and show the models; throws a Problem. */
  async load() {
    const listed = await listModels();
    this.models = new Map(listed.map((model) => [model.id, model]));
    const kept = this.#kept().filter((alias) => this.models.has(alias));
    const picked = new Set(kept.length ? kept : listed.slice(0, 1).map((model) => model.id));
    this.#host.replaceChildren(...listed.map((model) => this.#row(model, picked.has(model.id))));
    for (const alias of this.models.keys()) this.#say(alias);
    this.#changed();
  }

  /** Return the aliases of the models that are picked. */
  get picked() {
    return Array.from(this.#host.querySelectorAll("input:checked"), (input) => input.value);
  }

  /** Return how many pictures every picked model takes. */
  get mostImages() {
    return Math.min(...this.picked.map((alias) => this.models.get(alias).max_input_images));
  }

  /** Return those of `fields` that picked models do not honour: a text for each such model. */
  ignored(fields) {
    return this.picked.flatMap((alias) => {
      const { name, supported_parameters: takes } = this.models.get(alias);
      const lost = fields.filter((field) => !takes.includes(field));
      return lost.length ? [`${name} ignores ${lost.join(", ")}.`] : [];
    });
  }

  /** Show the most that an edit costs with a model, or its list price where `cost` is null. */
  tell(alias, cost) {
    this.#costs.set(alias, cost);
    this.#say(alias);
  }

  /** Show how long models usually take: a Map from aliases to seconds. */
  tellTimes(times) {
    this.#times = times;
    for (const alias of this.models.keys()) this.#say(alias);
  }

  #say(alias) {
    const [cost, time] = [this.#costs.get(alias) ?? null, this.#times.get(alias)];
    const price = cost === null ? priceOf(this.models.get(alias)) : `up to ${dollars(cost)}`;
    this.#told.get(alias).textContent = time === undefined ? price : `${price} · about ${seconds(time)}`;
  }

  #row(model, checked) {
    const input = make("input", { type: "checkbox", value: model.id, checked });
    input.addEventListener("change", () => {
      try {
        localStorage.setItem(PICKED, JSON.stringify(this.picked));
      } catch {
        // The choice holds for this visit then.
      }
      this.#changed();
    });
    const price = make("span", { className: "price soft small number" });
    this.#told.set(model.id, price);
    return make(
      "label",
      { className: "model" },
      input,
      make("span", { className: "name" }, model.name, ...tags(model)),
      price,
      make("span", { className: "about soft small" }, model.description),
    );
  }

  #kept() {
    try {
      return JSON.parse(localStorage.getItem(PICKED)) ?? [];
    } catch {
      return [];
    }
  }
}

function tags({ expiration_date: date, max_input_images: most, supported_parameters: takes }) {
  const told = [];
  const tag = (text, kind = "") => told.push(make("span", { className: `tag ${kind}` }, text));
  if (date && daysUntil(date, Date.now()) <= 0) tag(`shut down ${date}`, "bad");
  else if (date) tag(`until ${date}`, "warn");
  if (most > 1) tag(`${most} pictures`);
  if (takes.includes("partial_images")) tag("previews");
  return told;
}
