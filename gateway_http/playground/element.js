// Elements without markup: nothing that a caller or a vendor said is ever read as HTML.

/** Return the element with an id of the page. */
export const $ = (id) => document.getElementById(id);

/**
 * Return a new element. `properties` are set as properties, or as attributes where their name has
 * a dash or is "role"; `children` are elements and texts.
 */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}
