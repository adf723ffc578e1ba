// The usage page's modules that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ceiling } from "./chart.js";
import { Description } from "./schema.js";
import { days, query } from "./span.js";

const NOW = Date.parse("2026-11-26T05:00:00Z") / 1000;
const NOTHING = { period: "", from: "", to: "", model: "", user: "", outcome: "" };

test("a period ends today and has whole days", () => {
  const asked = query({ ...NOTHING, period: "7" }, NOW);
  assert.equal(asked.toString(), `start_time=${Date.parse("2026-11-20T00:00:00Z") / 1000}`);
  const found = days(Number(asked.get("start_time")), NOW);
  assert.deepEqual([found.length, found[0], found.at(-1)], [7, "2026-11-20", "2026-11-26"]);
});

test("the last day that is named is a part of it", () => {
  const asked = query({ ...NOTHING, from: "2026-02-01", to: "2026-02-28", user: "a&b" }, NOW);
  assert.equal(asked.get("start_time"), "2026-02-01");
  assert.equal(Number(asked.get("end_time")), Date.parse("2026-03-01T00:00:00Z") / 1000);
  assert.ok(asked.toString().endsWith("user=a%26b"));
  assert.equal(days(Date.parse("2026-02-01T00:00:00Z") / 1000, Number(asked.get("end_time"))).length, 28);
});

test("an axis ends at a round number that holds all", () => {
  for (const most of [0.0004, 0.9, 1, 1.01, 2.2, 9.99, 10, 731, 1e6]) {
    assert.ok(ceiling(most) >= most * 0.999999 && ceiling(most) <= most * 1.7, String(most));
  }
  assert.equal(ceiling(2.2), 2.5);
  assert.equal(ceiling(0), 1);
});

test("references are followed, and what is said beside them counts", () => {
  const name = { type: "string", maxLength: 9, description: "inner" };
  const description = new Description({ components: { schemas: { Name: name } } });
  const $ref = "#/components/schemas/Name";
  assert.equal(description.read({ $ref }).description, "inner");
  const maybe = description.read({ description: "outer", anyOf: [{ $ref }, { type: "null" }] });
  assert.equal(maybe.description, "outer");
  assert.equal(description.kind(maybe), "string, characters ≤ 9, or null");
  const whole = description.read({ allOf: [{ type: "object", properties: { a: {} }, required: ["a"] }, { properties: { b: {} } }] });
  assert.deepEqual([Object.keys(whole.properties).sort(), whole.required], [["a", "b"], ["a"]]);
});
