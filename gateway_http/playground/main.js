// The playground: puts its parts together, and says what an edit will cost and what became of it.

import { Code } from "./code.js";
import { Comparison } from "./compare.js";
import { Cost } from "./cost.js";
import { $, make } from "./element.js";
import { tellFacts } from "./facts.js";
import { History } from "./history.js";
import { bindIntake } from "./intake.js";
import { readKey } from "./key.js";
import { askForKey, bindKeyBox } from "./keybox.js";
import { bindMaskBar } from "./maskbar.js";
import { ModelList } from "./models.js";
import { maskFile, save } from "./pictures.js";
import { PictureSet } from "./pictureset.js";
import { dollars, seconds } from "./prices.js";
import { advice } from "./problems.js";
import { Run } from "./run.js";
import { Stage } from "./stage.js";
import { usualSeconds } from "./times.js";

const FIELDS = ["size", "quality", "background", "output_format", "output_compression", "input_fidelity", "mask_fidelity", "seed"];

const stage = new Stage($("canvas"));
const pictures = new PictureSet(stage, pictured);
const models = new ModelList($("models"), changed);
const cost = new Cost(models);
const code = new Code();
const comparison = new Comparison();
const history = new History({ select: show, again, nameOf: (alias) => models.models.get(alias)?.name ?? alias });
const maskBar = bindMaskBar(stage, pictures, changed, told);
let selected = 0; // pixels of the mask

/** Return the text fields that are filled in. */
function fields() {
  const given = FIELDS.map((name) => [name, $(name).value.trim()]).filter(([, value]) => value);
  // Only a mask has a fidelity.
  return Object.fromEntries(given.filter(([name]) => name !== "mask_fidelity" || selected));
}

/** Return what is asked of a model, as in snippets.js. */
function order(model) {
  const images = pictures.names.length ? pictures.names : ["photo.png"];
  const mask = selected ? `${images[0].replace(/\.[^.]*$/, "")}-mask.png` : null;
  const partialImages = models.models.get(model)?.supported_parameters.includes("partial_images")
    ? Number($("partial_images").value)
    : 0;
  const base = new URL("v1", document.baseURI).href;
  return { base, model, prompt: $("prompt").value, fields: fields(), images, mask, partialImages };
}

/** Show all that follows from what is asked for. */
function changed() {
  selected = pictures.mask?.selected ?? 0;
  const picked = models.picked;
  maskBar.tell(selected);
  $("others").hidden = !pictures.images.length || (pictures.images.length === 1 && models.mostImages < 2);
  $("run").textContent = picked.length > 1 ? `Run on ${picked.length} models` : "Run";
  $("ignored").textContent = models.ignored(Object.keys(fields()).filter((name) => name !== "mask_fidelity")).join(" ");
  if (picked.length) {
    const shown = order(picked[0]);
    code.show({ ...shown, prompt: shown.prompt || "make it a sunset" });
  }
  cost.ask(question());
}

function pictured() {
  const [first] = pictures.images;
  const { width, height } = first.bitmap;
  $("picture-facts").textContent = `${first.name} · ${width}×${height}`;
  $("problem").hidden = true;
  changed();
}

function told(text) {
  $("told").textContent = text;
}

/** Return what an estimate is asked about. */
function question() {
  const { size, quality } = fields();
  const [first] = pictures.images;
  return {
    prompt: $("prompt").value || "x",
    size,
    quality,
    images: Math.max(1, pictures.images.length),
    mask: selected > 0,
    image_size: first ? `${first.bitmap.width}x${first.bitmap.height}` : undefined,
  };
}

/** Return why nothing can be run yet and where to put that right, or null. */
function lacking() {
  const focus = (id) => () => $(id).focus();
  if (!pictures.images.length) return ["Choose a picture first: drop or paste one, or take a sample.", focus("choose")];
  if (!$("prompt").value.trim()) return ["Say in the prompt what shall change.", focus("prompt")];
  if (!models.picked.length) return ["Pick a model.", () => $("models").querySelector("input")?.focus()];
  if (pictures.images.length > models.mostImages) {
    return [`A model that is picked takes ${models.mostImages} picture(s): remove some, or pick another.`, () => {}];
  }
  if (!$("size").checkValidity()) return ["Size must be WIDTHxHEIGHT, such as 1024x1024, or auto.", focus("size")];
  if (!readKey()) return ["Add your key: “make run” and “imageedit serve --trial-key” print one.", askForKey];
  return null;
}

async function runAll() {
  const lack = lacking();
  if (lack) {
    const [text, lead] = lack;
    complain(text);
    lead();
    return;
  }
  const sources = {
    images: pictures.images.map(({ blob }) => blob),
    mask: selected ? await maskFile(pictures.mask) : null,
    before: pictures.images[0].bitmap,
  };
  const batch = models.picked.map((model) => new Run(order(model), sources));
  start(batch);
}

function again(run) {
  // Under its own key what was finished meanwhile comes back, and is not paid twice.
  const same = run.state === "cancelled" || run.problem?.isSafeToRepeat;
  const key = same ? run.idempotencyKey : undefined;
  start([new Run(run.order, run.sources, key)]);
}

function start(batch) {
  $("problem").hidden = true;
  $("results").hidden = false;
  for (const run of batch.toReversed()) history.add(run);
  history.select(batch[0]);
  $("cancel").hidden = false;
  $("results").scrollIntoView({ block: "nearest", behavior: "smooth" });
  told(batch.length > 1 ? `${batch.length} edits are under way.` : "The edit is under way.");
  for (const run of batch) run.go().finally(() => ended(run, batch));
}

function ended(run, batch) {
  $("cancel").hidden = history.running.length === 0;
  const name = models.models.get(run.order.model)?.name ?? run.order.model;
  if (run.state === "done") {
    told(`${name}: done in ${seconds(run.elapsed)}, ${dollars(run.facts.usage.cost)}.`);
    const first = batch.find(({ state }) => state === "done") === run;
    if (first && batch.includes(history.selected) && history.selected.state !== "running") history.select(run);
  }
  if (run.state === "cancelled") told(`${name}: cancelled. What the vendor had begun may be charged.`);
  if (run.state === "failed") told(`${name}: not done.`);
  if (run.problem) complain(...lines(run.problem));
  account();
}

/** Show what the key's account has, and how long its edits usually took. */
async function account() {
  if ((await cost.balance()) && readKey()) models.tellTimes(await usualSeconds());
}

function lines(problem) {
  const [what, next] = advice(problem);
  const id = problem.requestId ? [`Request ${problem.requestId}`] : [];
  return [`${what}. ${next}`, problem.message, ...id];
}

function complain(...texts) {
  $("problem").replaceChildren(...texts.map((text) => make("p", {}, text)));
  $("problem").hidden = false;
}

/** Show a run at large, as far as it is. */
function show(run) {
  $("shown").hidden = false;
  comparison.show(run);
  tellFacts(run);
  $("save-result").disabled = $("go-on").disabled = run.state !== "done";
}

$("order").addEventListener("submit", (event) => {
  event.preventDefault();
  runAll();
});
$("order").addEventListener("input", (event) => {
  if (!event.target.closest("#key-box, #compare, .tools, .numbers")) changed();
});
$("order").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.target === $("prompt") && (event.ctrlKey || event.metaKey)) runAll();
  // In a field it must not buy an edit.
  else if (event.target.matches("input")) event.preventDefault();
});
$("cancel").addEventListener("click", () => history.running.forEach((run) => run.cancel()));
$("save-result").addEventListener("click", () => save(history.selected.picture, history.selected.fileName));
$("go-on").addEventListener("click", async () => {
  const { picture, fileName } = history.selected;
  await pictures.take([new File([picture], fileName, { type: picture.type })]);
  $("main").scrollIntoView();
});
bindKeyBox(() => {
  $("problem").hidden = true;
  cost.ask(question());
  account();
});
account();
bindIntake(pictures, complain);
models.load().catch((problem) => complain(...lines(problem)));
