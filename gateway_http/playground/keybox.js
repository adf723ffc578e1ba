// Where the caller puts the key.

import { isRemembered, keepKey, readKey } from "./key.js";
import { $ } from "./element.js";

/** Bind the key's field; `changed` is called with each new key. */
export function bindKeyBox(changed) {
  const [box, field, remember] = [$("key-box"), $("key"), $("key-remember")];
  field.value = readKey();
  remember.checked = isRemembered();

  const tell = () => {
    $("key-told").textContent = field.value ? `Key …${field.value.slice(-4)}` : "Add your key";
    box.classList.toggle("wanted", !field.value);
  };
  const keep = () => {
    field.value = field.value.trim();
    keepKey(field.value, remember.checked);
    tell();
    changed();
  };
  field.addEventListener("change", keep);
  remember.addEventListener("change", keep);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it is no order to run
    keep();
    box.open = false;
    $("prompt").focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (box.open && !box.contains(event.target)) box.open = false;
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    box.open = false;
    $("key-told").focus();
  });
  tell();
}

/** Ask for a key: open the field and put the cursor there. */
export function askForKey() {
  $("key-box").open = true;
  $("key").focus();
}
