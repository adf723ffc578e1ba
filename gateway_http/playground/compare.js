// One result at large: a slider between before and after, the result alone, or what changed.

import { canvasOf, decoded, pixels } from "./pictures.js";
import { heat } from "./difference.js";
import { $ } from "./element.js";

export class Comparison {
  #run = null;
  #show = "compare";
  #before = { source: null, url: "" };

  constructor() {
    $("slider").addEventListener("input", () => this.#slide());
    for (const button of document.querySelectorAll("[data-show]")) {
      button.addEventListener("click", () => this.#take(button.dataset.show));
    }
    this.#slide();
  }

  /** Show a run as far as it is. */
  show(run) {
    const { images, before } = run.sources;
    if (this.#before.source !== images[0]) {
      if (this.#before.url) URL.revokeObjectURL(this.#before.url);
      this.#before = { source: images[0], url: URL.createObjectURL(images[0]) };
      $("before").src = this.#before.url;
    }
    this.#run = run;
    const [width, height] = (run.facts?.size.split("x") ?? [before.width, before.height]).map(Number);
    $("compare").style.setProperty("--ratio", width / height);
    $("after").src = run.url || this.#before.url;
    const far = run.url ? "The picture so far" : "The picture before the edit";
    $("after").alt = run.facts ? `The result: ${run.order.prompt}` : far;
    this.#arrange();
  }

  #take(show) {
    this.#show = show;
    for (const button of document.querySelectorAll("[data-show]")) {
      button.setAttribute("aria-pressed", String(button.dataset.show === show));
    }
    this.#arrange();
  }

  #slide() {
    const { value } = $("slider");
    $("compare").style.setProperty("--at", `${value}%`);
    $("slider").setAttribute("aria-valuetext", `${value} % before, ${100 - value} % after`);
  }

  #arrange() {
    const difference = this.#show === "difference" && Boolean(this.#run?.facts);
    // Without a picture there is nothing to compare: the one before is shown alone.
    const alone = this.#show === "result" || !this.#run?.url;
    $("compare").dataset.show = difference ? "difference" : alone ? "result" : "compare";
    $("slider").disabled = $("compare").dataset.show !== "compare";
    $("heat").hidden = !difference;
    $("heat-told").textContent = "";
    if (difference) this.#heat(this.#run);
  }

  async #heat(run) {
    if (!run.heat) {
      const result = await decoded(run.picture);
      const { width, height } = result;
      const found = heat(pixels(run.sources.before, width, height), pixels(result));
      run.heat = { ...found, width, height };
    }
    if (run !== this.#run) return;
    const { pixels: data, width, height, mean, changed } = run.heat;
    const [canvas] = canvasOf(width, height);
    canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
    Object.assign($("heat"), { width, height });
    $("heat").getContext("2d").drawImage(canvas, 0, 0);
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    $("heat-told").textContent = `${percent(changed)} of the pixels changed, by ${percent(mean)} of their range on average over the picture. Shown three times as strong.`;
  }
}
