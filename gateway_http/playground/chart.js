// Charts of numbers: bars by day as SVG, and tables whose rows carry a bar.

import { make } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const [HIGH, LEFT, BELOW] = [220, 56, 24];

function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Return the least round number that is not below `most`, to end an axis at. */
export function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= most * 0.999999);
}

/**
 * Return an SVG of one bar for each of `points`, `{name, value, told}`: `told` is what a bar says
 * to who points at it. `label` is what the chart shows in words, `unit` returns a number as text,
 * `wide` is how many pixels there are.
 */
export function dayChart(points, { label, unit, wide }) {
  const top = ceiling(Math.max(0, ...points.map((point) => point.value)));
  const [width, height] = [wide - LEFT, HIGH - BELOW - 8];
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": label });
  for (const part of [0, 0.5, 1]) {
    const y = 8 + height * (1 - part);
    chart.append(draw("line", { x1: LEFT, x2: wide, y1: y, y2: y }));
    chart.append(draw("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, unit(top * part)));
  }
  const step = width / points.length;
  const marked = Math.max(1, Math.ceil((points.length * 64) / width));
  points.forEach((point, place) => {
    const tall = Math.max(point.value > 0 ? 2 : 1, (height * point.value) / top);
    const [x, y] = [LEFT + place * step, 8 + height - tall];
    const bar = draw("rect", { x: x + step * 0.12, y, width: step * 0.76, height: tall, rx: Math.min(3, step / 4) });
    if (!point.value) bar.classList.add("empty");
    // The whole column is pointed at, not the bar alone.
    const column = draw("rect", { x, y: 8, width: step, height, "fill-opacity": 0, class: "empty" });
    chart.append(draw("g", {}, draw("title", {}, point.told), column, bar));
    if (place % marked === 0) {
      chart.append(draw("text", { x: x + step / 2, y: HIGH - 6, "text-anchor": "middle" }, point.name));
    }
  });
  return chart;
}

/** Fill a table: `columns` are `[title, isNumber]`, each row a list of texts and elements. */
export function fillTable(table, columns, rows, empty) {
  const cell = (name, content, isNumber) => {
    const made = make(name, isNumber ? { className: "number" } : {}, content);
    if (name === "th") made.scope = "col";
    return made;
  };
  const head = make("thead", {}, make("tr", {}, ...columns.map(([title, isNumber]) => cell("th", title, isNumber))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((content, place) => cell("td", content, columns[place][1])))));
  if (!rows.length) body.append(make("tr", {}, make("td", { colSpan: columns.length, className: "nothing" }, empty)));
  table.replaceChildren(head, body);
}

/** Return a bar of `value` out of `most`, for a row of a table that says the number too. */
export function share(value, most, label) {
  return make("meter", { min: 0, max: most || 1, value, "aria-label": label });
}
