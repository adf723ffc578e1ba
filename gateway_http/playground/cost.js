// What the edit costs at the most, asked of the gateway when nothing changed for a moment.

import { credits, estimate } from "./client.js";
import { $ } from "./element.js";
import { readKey } from "./key.js";
import { dollars } from "./prices.js";
import { advice } from "./problems.js";

const PATIENCE = 350; // milliseconds after the last change

export class Cost {
  #models;
  #timer = 0;
  #asking = new AbortController();
  #known = ""; // the question whose answer is shown

  /** `models` is the list whose prices are told. */
  constructor(models) {
    this.#models = models;
  }

  /** Ask soon what `question` (the estimate's JSON but for the model) costs with what is picked. */
  ask(question) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(question), PATIENCE);
  }

  /** Show what is left of the key's credit; tell whether the gateway said. */
  async balance() {
    if (!readKey()) return false;
    try {
      const { balance, held } = await credits();
      $("credit").textContent = `${dollars(balance - held)} left`;
      return true;
    } catch {
      $("credit").textContent = ""; // whatever it is, the estimate says so
      return false;
    }
  }

  async #ask(question) {
    const { picked, models } = this.#models;
    const asked = JSON.stringify([question, picked, readKey()]);
    if (asked === this.#known) return;
    this.#asking.abort();
    for (const alias of models.keys()) if (!picked.includes(alias)) this.#models.tell(alias, null);
    if (!picked.length) return this.#tell("Pick a model.");
    if (!readKey()) return this.#tell("Add your key to see what it costs.");
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    try {
      const costs = await Promise.all(picked.map((model) => estimate({ model, ...question }, signal)));
      picked.forEach((alias, index) => this.#models.tell(alias, costs[index]));
      this.#tell(`At most ${dollars(costs.reduce((sum, cost) => sum + cost, 0))}`);
      this.#known = asked;
    } catch (error) {
      if (error.name !== "AbortError") this.#tell(advice(error)[0]);
    }
    return undefined;
  }

  #tell(text) {
    this.#known = "";
    $("estimate").textContent = text;
  }
}
