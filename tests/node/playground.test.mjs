// The playground's modules that need no browser. They lie beside this file, where it is run.

import assert from "node:assert/strict";
import { test } from "node:test";

import { heat } from "./difference.js";
import { EventReader } from "./events.js";
import { editShare } from "./feather.js";
import { Mask } from "./mask.js";
import { daysUntil, dollars, priceOf, seconds } from "./prices.js";
import { advice, Problem } from "./problems.js";
import { medians } from "./times.js";
import { View } from "./view.js";

const rows = (mask) =>
  Array.from({ length: mask.height }, (_, y) =>
    Array.from(mask.levels.slice(y * mask.width, (y + 1) * mask.width), (level) => (level ? "#" : ".")).join(""),
  );

function step(mask, act) {
  mask.begin();
  act();
  mask.commit();
}

test("a rectangle covers whole pixels, whichever corner comes first, and stays in the picture", () => {
  const mask = new Mask(5, 4);
  step(mask, () => mask.rectangle(3.2, 2.9, 0.6, 0.8, 255));
  assert.deepEqual(rows(mask), [".....", ".##..", ".##..", "....."]);
  step(mask, () => mask.rectangle(3, -9, 99, 99, 255));
  assert.deepEqual(rows(mask), ["...##", ".####", ".####", "...##"]);
  assert.equal(mask.selected, 12);
  assert.equal(mask.rectangle(9, 9, 12, 12, 255), null);
});

test("a stroke is round at its ends, and the eraser takes it away", () => {
  const mask = new Mask(9, 5);
  step(mask, () => mask.stroke(2.5, 2.5, 6.5, 2.5, 1.5, 255));
  assert.deepEqual(rows(mask), [".........", ".#######.", ".#######.", ".#######.", "........."]);
  step(mask, () => mask.stroke(2.5, 2.5, 2.5, 2.5, 1.5, 0));
  assert.deepEqual(rows(mask)[2], "....####.");
  const dot = new Mask(5, 5);
  step(dot, () => dot.stroke(2.5, 2.5, 2.5, 2.5, 1, 255));
  assert.deepEqual(rows(dot), [".....", "..#..", ".###.", "..#..", "....."]);
});

test("invert, clear and load are steps too", () => {
  const mask = new Mask(2, 1);
  mask.load(Uint8Array.of(255, 0));
  mask.invert();
  assert.deepEqual(rows(mask), [".#"]);
  mask.clear();
  assert.deepEqual(rows(mask), [".."]);
  mask.undo();
  mask.undo();
  assert.deepEqual(rows(mask), ["#."]);
  assert.throws(() => mask.load(new Uint8Array(3)), RangeError);
});

test("undo and redo go through the steps, and a new step ends what could be redone", () => {
  const mask = new Mask(4, 1);
  assert.equal(mask.undo(), null);
  for (const x of [0, 1, 2]) step(mask, () => mask.rectangle(x, 0, x + 1, 1, 255));
  assert.deepEqual(mask.undo(), { left: 2, top: 0, width: 1, height: 1 });
  mask.undo();
  assert.deepEqual([rows(mask)[0], mask.canUndo, mask.canRedo], ["#...", true, true]);
  mask.redo();
  assert.equal(rows(mask)[0], "##..");
  step(mask, () => mask.rectangle(3, 0, 4, 1, 255));
  assert.deepEqual([rows(mask)[0], mask.canRedo, mask.redo()], ["##.#", false, null]);
  // What changes nothing is no step.
  step(mask, () => mask.rectangle(3, 0, 4, 1, 255));
  mask.undo();
  assert.equal(rows(mask)[0], "##..");
});

test("any number of random steps can be undone to nothing and redone to the end", () => {
  const mask = new Mask(40, 30);
  let seed = 7;
  const next = (most) => (seed = (seed * 48271) % 2147483647) % most;
  const seen = [mask.levels.slice()];
  for (let number = 0; number < 60; number += 1) {
    const before = mask.levels.slice();
    const level = next(3) ? 255 : 0;
    step(mask, () => {
      if (next(2)) mask.rectangle(next(50) - 5, next(40) - 5, next(50) - 5, next(40) - 5, level);
      else for (let part = 0; part < 3; part += 1) mask.stroke(next(40), next(30), next(40), next(30), next(9), level);
    });
    if (next(5) === 0) mask.invert();
    if (mask.levels.some((level, index) => level !== before[index])) seen.push(mask.levels.slice());
  }
  while (mask.undo());
  assert.deepEqual(mask.levels, seen[0]);
  while (mask.redo());
  assert.deepEqual(mask.levels, seen.at(-1));
});

test("the edit fades in over three pixels inside the mask, never outside", () => {
  const mask = new Mask(400, 20);
  mask.rectangle(100, 0, 200, 20, 255);
  const share = editShare(mask).subarray(10 * 400, 11 * 400);
  assert.deepEqual([share[98], share[99], share[200]], [0, 0, 0]);
  assert.ok(share[100] >= 102 && share[100] < share[101] && share[101] < share[102] && share[102] < 255);
  assert.deepEqual([share[103], share[150]], [255, 255]);
  const small = new Mask(100, 4);
  small.rectangle(10, 0, 20, 4, 255);
  assert.deepEqual([editShare(small)[9], editShare(small)[10]], [0, 255]);
});

test("the heat map is black where nothing changed, and says how much did", () => {
  const before = Uint8ClampedArray.of(10, 20, 30, 255, 0, 0, 0, 255);
  const after = Uint8ClampedArray.of(10, 20, 30, 255, 255, 255, 255, 255);
  const { pixels, mean, changed } = heat(before, after);
  assert.deepEqual([mean, changed], [0.5, 0.5]);
  assert.deepEqual([...pixels.slice(0, 4)], [0, 0, 4, 255]);
  assert.ok(pixels[4] > 240 && pixels[5] > 240);
  assert.throws(() => heat(before, after.slice(4)), RangeError);
});

test("events are read from pieces of any size; comments are none", () => {
  const text = ': at work\n\nevent: a\ndata: {"type":"a","text":"x y"}\n\ndata: {"type":"b"}\n\n';
  for (let size = 1; size <= text.length; size += 1) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...reader.push(text.slice(at, at + size)));
    assert.deepEqual(found, [{ type: "a", text: "x y" }, { type: "b" }]);
  }
});

test("a model's usual time is the median of its edits", () => {
  const edits = [9, 1, 2].map((seconds) => ({ model: "a/b", seconds })).concat({ model: "c/d", seconds: 4 });
  assert.deepEqual([...medians(edits)], [["a/b", 2], ["c/d", 4]]);
});

test("prices and times are short and true", () => {
  assert.deepEqual(
    [0, 0.04, 0.06844, 0.000123, 12.5, 0.2].map(dollars),
    ["$0", "$0.04", "$0.0684", "$0.000123", "$12.50", "$0.20"],
  );
  assert.equal(priceOf({ pricing: { image: "0.015" } }), "$0.015 an edit");
  assert.equal(priceOf({ pricing: { image_output: "0.00003" } }), "$30.00 a million tokens out");
  assert.deepEqual([0.44, 12.9, 125].map(seconds), ["0.4 s", "12 s", "2 min 05 s"]);
  const now = Date.parse("2026-11-30T12:00:00Z");
  assert.deepEqual([daysUntil("2026-12-01", now), daysUntil("2026-10-23", now) < 0], [1, true]);
});

test("every status of the contract has advice, and only what is safe is sent again as it was", async () => {
  for (const status of [0, 400, 401, 402, 403, 413, 422, 429, 500, 502, 503, 504]) {
    const [what, next] = advice(new Problem({ status, code: "", message: "" }));
    assert.ok(what && next);
  }
  const safe = (status) => new Problem({ status, code: "", message: "" }).isSafeToRepeat;
  assert.deepEqual([0, 429, 503, 502, 504, 400].map(safe), [true, true, true, false, false, false]);
  const answer = new Response(JSON.stringify({ error: { code: "rate_limit_exceeded", message: "Slow." } }), {
    status: 429,
    headers: { "Retry-After": "7", "x-request-id": "an-id" },
  });
  const problem = await Problem.of(answer);
  assert.deepEqual([problem.message, problem.retryAfter, problem.requestId], ["Slow.", 7, "an-id"]);
  assert.match(advice(problem)[1], /in 7 seconds/);
  const page = await Problem.of(new Response("<html>", { status: 502 }));
  assert.match(page.message, /502/);
});

test("zoom keeps a point in place, fits, and never loses the picture", () => {
  const view = new View(1000, 500);
  view.resize(500, 500);
  assert.deepEqual([view.scale, view.x, view.y], [0.5, 0, 125]);
  const point = view.toPicture([100, 200]);
  view.zoom(3, [100, 200]);
  assert.deepEqual(view.toPicture([100, 200]).map(Math.round), point.map(Math.round));
  assert.deepEqual(view.toWindow(view.toPicture([7, 9])).map(Math.round), [7, 9]);
  view.pan(1e6, -1e6);
  assert.ok(view.x < 500 && view.y + view.height * view.scale > 0);
  view.zoom(0);
  assert.deepEqual([view.scale, view.x, view.y], [0.5, 0, 125]);
  view.resize(1000, 1000);
  assert.equal(view.scale, 1);
});
