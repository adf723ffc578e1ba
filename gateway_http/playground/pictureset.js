// The pictures of the edit: the first, which the mask is for, and more for models that take some.

import { $, make } from "./element.js";
import { Mask } from "./mask.js";
import { decoded } from "./pictures.js";

export class PictureSet {
  images = []; // {name, blob, bitmap}
  mask = null;
  #stage;
  #changed;

  /** `changed` is called when there are other pictures. */
  constructor(stage, changed) {
    this.#stage = stage;
    this.#changed = changed;
  }

  /** Take a picture's files: the first replaces the one there is, unless `more` are wanted. */
  async take(files, more = false) {
    for (const file of files) {
      const image = { name: file.name || "pasted.png", blob: file, bitmap: await decoded(file) };
      if (more && this.images.length) this.images.push({ ...image, name: this.#free(image.name) });
      else this.#first(image);
      more = true;
    }
    this.#list();
    this.#changed();
  }

  /** Return what an edit sends: names and blobs, with the mask's name where one is painted. */
  get names() {
    return this.images.map(({ name }) => name);
  }

  #first(image) {
    const { bitmap } = image;
    const same = this.mask?.width === bitmap.width && this.mask?.height === bitmap.height;
    if (!same) this.mask = new Mask(bitmap.width, bitmap.height);
    this.images = [image];
    $("empty").hidden = true;
    for (const id of ["canvas", "tools", "by-keys"]) $(id).hidden = false;
    $("drop").classList.add("filled");
    $("drop").style.setProperty("--ratio", bitmap.width / bitmap.height);
    this.#stage.open(bitmap, this.mask);
  }

  #free(name) {
    const taken = new Set(this.names);
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${stem}-${number}${ending ?? ""}`;
    return free;
  }

  #list() {
    const others = this.images.slice(1);
    const add = make("button", { type: "button", className: "small" }, "Add a picture…");
    add.addEventListener("click", () => {
      $("picture-file").dataset.more = "true";
      $("picture-file").click();
    });
    $("others").replaceChildren(...others.map((image) => this.#item(image)), make("li", {}, add));
  }

  #item(image) {
    const url = URL.createObjectURL(image.blob);
    const picture = make("img", { src: url, alt: "" });
    picture.addEventListener("load", () => URL.revokeObjectURL(url));
    const remove = make("button", { type: "button", className: "quiet small", "aria-label": `Remove ${image.name}` }, "✕");
    remove.addEventListener("click", () => {
      this.images = this.images.filter((one) => one !== image);
      this.#list();
      this.#changed();
    });
    return make("li", {}, picture, make("span", { className: "small" }, image.name), remove);
  }
}
