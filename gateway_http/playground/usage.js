// The usage page: what the key's account has, what its edits cost, and how they ended.

import { dayChart, fillTable, share } from "./chart.js";
import { credits, editsAsTable, listEdits, usage } from "./client.js";
import { $, make } from "./element.js";
import { isRemembered, keepKey, readKey } from "./key.js";
import { dollars } from "./prices.js";
import { advice } from "./problems.js";
import { days, query } from "./span.js";

const WORDS = {
  under_way: "under way",
  delivered: "delivered",
  refused: "refused",
  upstream_failed: "vendor failed",
  upstream_busy: "vendor busy",
  upstream_timeout: "took too long",
  cancelled: "cancelled",
  lost: "lost",
  internal_error: "fault of the gateway",
};
const COLUMNS = [["Begun (UTC)"], ["Status"], ["Model"], ["User"], ["Time", true], ["Cost", true], ["Request id"]];

let asking = new AbortController();
let shown = [];

for (const [value, word] of Object.entries(WORDS)) $("outcome").append(make("option", { value }, word));

function settings() {
  const value = (id) => $(id).value;
  return { period: value("period"), from: value("from"), to: value("to"), model: value("model"), user: value("user").trim(), outcome: value("outcome") };
}

async function show() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  $("problem").hidden = true;
  $("welcome").hidden = Boolean(readKey());
  if (!readKey()) {
    $("answers").hidden = true;
    return;
  }
  $("answers").ariaBusy = "true";
  try {
    const asked = query(settings());
    const answers = [usage(asked, signal), listEdits(asked, signal), credits(signal)];
    const [sums, page, balance] = await Promise.all(answers);
    $("answers").hidden = false; // so that it has a width
    figures(sums, balance);
    charts(sums);
    shown = [];
    edits(page);
    $("told").textContent = `${sums.total.edits} edits, ${dollars(sums.total.cost)}.`;
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error);
    if (error.isSafeToRepeat && error.retryAfter) {
      const again = setTimeout(show, error.retryAfter * 1000);
      signal.addEventListener("abort", () => clearTimeout(again));
    }
  } finally {
    if (!signal.aborted) $("answers").ariaBusy = "false";
  }
}

function complain(problem) {
  if (problem.status === undefined) throw problem;
  $("answers").hidden ||= problem.status === 401;
  const [what, next] = advice(problem);
  // The message is for callers of the API; of a key, what to do says more.
  $("problem").textContent = problem.status === 401 ? `${what}. ${next}` : `${what}: ${problem.message}`;
  $("problem").hidden = false;
}

function figures({ total }, { balance, held }) {
  const facts = {
    Balance: dollars(balance),
    Held: dollars(held),
    "Spent in this period": dollars(total.cost),
    Edits: total.edits.toLocaleString("en"),
    Delivered: total.edits ? `${Math.round((100 * total.delivered) / total.edits)} %` : "–",
    Failed: total.failed.toLocaleString("en"),
  };
  const made = Object.entries(facts).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  $("figures").replaceChildren(...made);
}

function charts(sums) {
  const byDay = new Map(sums.days.map((line) => [line.day, line]));
  const listed = days(sums.start_time, sums.end_time).map((day) => byDay.get(day) ?? { day, cost: 0, edits: 0, failed: 0 });
  const points = listed.map(({ day, cost, edits: number }) => ({ name: day.slice(5), value: cost, told: `${day}: ${dollars(cost)}, ${number} edits` }));
  const dearest = listed.reduce((most, line) => (line.cost > most.cost ? line : most));
  const label = `Spend by day: ${dollars(sums.total.cost)} in ${listed.length} days, the most on ${dearest.day} with ${dollars(dearest.cost)}.`;
  $("days").replaceChildren(dayChart(points, { label, unit: dollars, wide: Math.max(320, $("days").clientWidth) }));
  $("days-told").textContent = `${dollars(sums.total.cost)} in ${listed.length} days`;
  const worth = listed.filter((line) => line.edits).reverse();
  const row = (line) => [line.day, dollars(line.cost), String(line.edits), String(line.failed)];
  fillTable($("days-table"), [["Day"], ["Cost", true], ["Edits", true], ["Failed", true]], worth.map(row), "No edits.");

  const others = sums.other_users.edits ? [{ ...sums.other_users, user: null }] : [];
  ranking($("models"), "Model", sums.models, (line) => line.model);
  ranking($("users"), "User", [...sums.users, ...others], (line) => (line.user === null ? "all others" : line.user || "(not named)"));
  const failed = sums.outcomes.filter((one) => one.code);
  const most = Math.max(...failed.map((one) => one.edits));
  const rows = failed.map((one) => [make("code", {}, one.code), WORDS[one.outcome] ?? one.outcome, share(one.edits, most, one.code), String(one.edits)]);
  fillTable($("errors"), [["Code"], ["What happened"], ["Share"], ["Edits", true]], rows, "No errors.");

  const chosen = $("model").value;
  const names = new Set([chosen, ...sums.models.map((line) => line.model), ...[...$("model").options].map((one) => one.value)]);
  names.delete("");
  $("model").replaceChildren(make("option", { value: "" }, "all"), ...[...names].sort().map((name) => make("option", { value: name }, name)));
  $("model").value = chosen;
}

function ranking(table, title, lines, name) {
  const most = Math.max(...lines.map((line) => line.cost));
  const rows = lines.map((line) => [name(line), share(line.cost, most, name(line)), dollars(line.cost), String(line.edits)]);
  fillTable(table, [[title], ["Share"], ["Cost", true], ["Edits", true]], rows, "No edits.");
}

function edits(page) {
  shown.push(...page.data);
  const rows = shown.map((one) => [
    new Date(one.created * 1000).toISOString().slice(0, 19).replace("T", " "),
    make("span", { className: `tag ${one.code ? "bad" : one.outcome === "delivered" ? "good" : ""}`, title: one.message ?? "" }, WORDS[one.outcome] ?? one.outcome),
    one.model,
    one.user || "–",
    one.seconds === null ? "–" : `${one.seconds.toFixed(1)} s`,
    dollars(one.cost),
    make("code", {}, one.id),
  ]);
  fillTable($("edits"), COLUMNS, rows, "No edits in this period.");
  $("edits-told").textContent = shown.length ? `the latest ${shown.length}` : "";
  $("more").hidden = !page.has_more;
  $("more").value = page.next_page_token ?? "";
}

async function acting(button, act) {
  button.disabled = true;
  try {
    await act();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

$("more").addEventListener("click", () =>
  acting($("more"), async () => {
    const asked = query(settings());
    asked.set("page_token", $("more").value);
    edits(await listEdits(asked));
  }),
);

$("csv").addEventListener("click", () =>
  acting($("csv"), async () => {
    const link = make("a", { href: URL.createObjectURL(await editsAsTable(query(settings()))), download: "edits.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }),
);

$("key").value = readKey();
$("key").addEventListener("change", () => {
  keepKey($("key").value.trim(), isRemembered());
});
$("filters").addEventListener("change", () => {
  const open = !$("period").value;
  for (const field of document.querySelectorAll("[data-dates]")) field.hidden = !open;
  show();
});
$("filters").addEventListener("submit", (event) => {
  event.preventDefault(); // Enter in a field has changed it by now
});
show();
