// One edit on one model: what it asks for, how far it is, and what came of it.

import { edit, newIdempotencyKey } from "./client.js";
import { blobOf } from "./pictures.js";

let numbers = 0;

export class Run extends EventTarget {
  state = "running"; // then "done", "failed" or "cancelled"
  partials = 0;
  picture = null; // the last partial picture, then the result: a Blob
  url = ""; // of that
  facts = null; // the completed event without the picture
  problem = null;
  #leaving = new AbortController();

  /** `order` is as in snippets.js, with `files`: the pictures' and the mask's blobs, by name. */
  constructor(order, sources, idempotencyKey = newIdempotencyKey()) {
    super();
    this.number = numbers += 1;
    this.order = order;
    this.sources = sources; // {images: [Blob], mask: Blob or null, before: ImageBitmap}
    this.idempotencyKey = idempotencyKey;
    this.started = performance.now();
    this.ended = null;
  }

  /** Seconds since it began, or that it took. */
  get elapsed() {
    return ((this.ended ?? performance.now()) - this.started) / 1000;
  }

  /** What the result's file is called. */
  get fileName() {
    const kind = this.facts?.output_format ?? "png";
    return `edited-${this.number}.${kind === "jpeg" ? "jpg" : kind}`;
  }

  /** Leave: what the vendor has begun may be finished and paid all the same. */
  cancel() {
    this.#leaving.abort();
  }

  /** Do the edit; returns once it ended, however it did. */
  async go() {
    try {
      const facts = await edit(this.#form(), this.idempotencyKey, {
        signal: this.#leaving.signal,
        onPartial: (event) => {
          this.partials += 1;
          this.#show(event);
        },
      });
      this.#show(facts, false);
      delete facts.b64_json;
      this.facts = facts;
      this.#end("done");
    } catch (error) {
      if (error.name !== "AbortError") this.problem = error;
      this.#end(error.name === "AbortError" ? "cancelled" : "failed");
      if (error.name !== "AbortError" && error.status === undefined) throw error; // a bug of ours
    }
  }

  #form() {
    const { model, prompt, fields, images, mask, partialImages } = this.order;
    const form = new FormData();
    const texts = { model, prompt, ...fields, stream: "true" };
    if (partialImages) texts.partial_images = String(partialImages);
    for (const [name, text] of Object.entries(texts)) form.append(name, text);
    const field = images.length > 1 ? "image[]" : "image";
    images.forEach((name, index) => form.append(field, this.sources.images[index], name));
    if (mask) form.append("mask", this.sources.mask, mask);
    return form;
  }

  #show({ b64_json: picture, output_format: format }, told = true) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.picture = blobOf(picture, `image/${format}`);
    this.url = URL.createObjectURL(this.picture);
    if (told) this.dispatchEvent(new Event("change"));
  }

  #end(state) {
    this.ended = performance.now();
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
