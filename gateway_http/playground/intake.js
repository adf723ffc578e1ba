// Ways in for pictures: drop, paste, choose, or a sample.

import { $ } from "./element.js";

/** Bind them; `complain` is told of a file that is none. */
export function bindIntake(pictures, complain) {
  async function take(files, more) {
    const found = [...files].filter(({ type }) => !type || type.startsWith("image/"));
    if (!found.length) return complain("That is no picture: PNG, JPEG or WebP are.");
    try {
      await pictures.take(found, more);
    } catch (error) {
      complain(error.message);
    }
    return undefined;
  }

  $("choose").addEventListener("click", () => {
    $("picture-file").dataset.more = "";
    $("picture-file").click();
  });
  $("picture-file").addEventListener("change", async ({ target }) => {
    const files = [...target.files];
    target.value = ""; // the same file may be chosen again
    await take(files, Boolean(target.dataset.more));
  });

  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });

  const zone = $("drop");
  let depth = 0; // of elements that a file is dragged over
  document.addEventListener("dragenter", () => zone.classList.toggle("over", (depth += 1) > 0));
  document.addEventListener("dragleave", () => zone.classList.toggle("over", (depth -= 1) > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser would leave the page for the file
    depth = 0;
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });

  for (const button of document.querySelectorAll("[data-sample]")) {
    button.addEventListener("click", async () => {
      const name = `${button.dataset.sample}.jpg`;
      const answer = await fetch(new URL(`samples/${name}`, import.meta.url));
      if (!answer.ok) return complain("The sample could not be fetched; is the gateway there?");
      return take([new File([await answer.blob()], name, { type: "image/jpeg" })]);
    });
  }
}
