// The visit's edits, side by side: one card each, the newest first; kept in memory alone.

import { $, make } from "./element.js";
import { dollars, seconds } from "./prices.js";
import { advice } from "./problems.js";

const TICK = 100; // milliseconds between two looks at the clock

export class History {
  selected = null;
  #cards = new Map(); // from a run to what its card shows
  #acts;
  #timer = null;

  /** `acts` has `select`, `again` and `nameOf` (of a model's alias). */
  constructor(acts) {
    this.#acts = acts;
  }

  /** Return the runs that are under way. */
  get running() {
    return [...this.#cards.keys()].filter((run) => run.state === "running");
  }

  /** Add a run's card. */
  add(run) {
    const picture = make("span", { className: "thumb" });
    const told = make("span", { className: "told small number" });
    const name = make("span", { className: "name" }, this.#acts.nameOf(run.order.model));
    const button = make("button", { type: "button", className: "pick", "aria-pressed": "false" }, picture, name, told);
    button.addEventListener("click", () => this.select(run));
    const actions = make("span", { className: "actions" });
    const card = make("li", { className: "run" }, button, actions);
    this.#cards.set(run, { card, button, picture, told, actions });
    $("runs").prepend(card);
    run.addEventListener("change", () => this.#update(run));
    this.#update(run);
    this.#timer ??= setInterval(() => this.#tick(), TICK);
  }

  /** Show a run at large. */
  select(run) {
    this.selected = run;
    for (const [one, { button }] of this.#cards) {
      button.setAttribute("aria-pressed", String(one === run));
    }
    this.#acts.select(run);
  }

  #tick() {
    for (const run of this.running) this.#tell(run);
    if (this.running.length) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #tell(run) {
    const { told } = this.#cards.get(run);
    const time = seconds(run.elapsed);
    const preview = run.partials ? ` · preview ${run.partials}` : "";
    told.textContent = {
      running: () => `${time}${preview}`,
      done: () => `${dollars(run.facts.usage.cost)} · ${time}`,
      failed: () => `${advice(run.problem)[0]} · ${time}`,
      cancelled: () => `cancelled · ${time}`,
    }[run.state]();
    if (run === this.selected) $("compare").dataset.progress = run.state === "done" ? "" : told.textContent;
  }

  #update(run) {
    const { card, picture, actions } = this.#cards.get(run);
    card.dataset.state = run.state;
    if (run.url) picture.replaceChildren(make("img", { src: run.url, alt: "" }));
    actions.replaceChildren(...this.#buttons(run));
    this.#tell(run);
    if (run === this.selected) this.#acts.select(run);
  }

  #buttons(run) {
    const button = (text, act) => {
      const made = make("button", { type: "button", className: "small" }, text);
      made.addEventListener("click", act);
      return made;
    };
    if (run.state === "running") return [button("Cancel", () => run.cancel())];
    if (run.state === "done") return [];
    return [button("Run again", () => this.#acts.again(run))];
  }
}
