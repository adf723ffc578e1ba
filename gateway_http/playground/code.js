// The same request as code: four tabs and a button that copies.

import { $ } from "./element.js";
import { curl, grpc, node, python } from "./snippets.js";

const LANGUAGES = { curl, python, node, grpc };

export class Code {
  #order = null;
  #language = "curl";

  constructor() {
    const names = Object.keys(LANGUAGES);
    for (const name of names) {
      const tab = $(`tab-${name}`);
      tab.addEventListener("click", () => this.#take(name));
      tab.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const next = names[(names.indexOf(name) + by + names.length) % names.length];
        this.#take(next);
        $(`tab-${next}`).focus();
      });
    }
    $("copy").addEventListener("click", () => this.#copy());
  }

  /** Show the code of an order, as in snippets.js. */
  show(order) {
    this.#order = order;
    $("code").textContent = LANGUAGES[this.#language](order);
    $("code-mask").hidden = !order.mask;
  }

  #take(name) {
    this.#language = name;
    for (const one of Object.keys(LANGUAGES)) {
      $(`tab-${one}`).setAttribute("aria-selected", String(one === name));
      $(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    }
    $("code-panel").setAttribute("aria-labelledby", `tab-${name}`);
    if (this.#order) this.show(this.#order);
  }

  async #copy() {
    const said = (await copied($("code"))) ? "Copied" : "Select and copy it";
    $("copy").textContent = said;
    setTimeout(() => ($("copy").textContent = "Copy"), 2_000);
  }
}

async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // Without TLS a page has no clipboard but for what is selected.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
