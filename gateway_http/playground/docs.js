// The reference: the gateway's own description, openapi.json, as a page.

import { $, make } from "./element.js";
import { Description, table } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function route(description, path, method, operation, shared) {
  const parts = [];
  if (operation.description) parts.push(make("p", {}, operation.description));
  const parameters = [...shared, ...(operation.parameters ?? [])].map((one) => description.read(one));
  if (parameters.length) parts.push(section("Parameters", table(parameters.map((one) => parameter(description, one)))));
  for (const [kind, content] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(section(`Body: ${kind}`, ...body(description, content)));
  }
  const answers = Object.entries(operation.responses).map(([status, told]) => answer(description, status, description.read(told)));
  parts.push(section("Answers", ...answers));
  const header = make(
    "header",
    {},
    make("span", { className: `method ${method}` }, method.toUpperCase()),
    make("h3", {}, path),
    make("span", { className: "soft" }, operation.summary),
    operation.security ? make("span", { className: "tag" }, "needs a key") : "",
  );
  return make("section", { className: "card route", id: operation.operationId, "aria-label": operation.summary }, header, make("div", { className: "body" }, ...parts));
}

function section(title, ...children) {
  return make("div", {}, make("h4", {}, title), ...children);
}

function parameter(description, one) {
  const schema = { ...description.read(one.schema), description: one.description };
  const row = description.field(one.name, schema, one.required);
  row.firstChild.append(make("span", { className: "kind" }, one.in));
  return row;
}

function body(description, content) {
  const shown = description.examples(content).map((text) => make("pre", { tabIndex: 0, role: "region", "aria-label": "Example" }, make("code", {}, text)));
  const said = content.schema && description.read(content.schema).description;
  return [said ? make("p", { className: "small soft" }, said) : "", content.schema ? description.fields(content.schema) : "", ...shown];
}

function answer(description, status, told) {
  const headers = Object.entries(told.headers ?? {}).map(([name, header]) => {
    const { schema, description: said } = description.read(header);
    return description.field(name, { ...schema, description: said });
  });
  const content = Object.entries(told.content ?? {}).flatMap(([kind, one]) => [section(kind, ...body(description, one))]);
  const inside = make("div", {}, ...content, headers.length ? section("Headers", table(headers)) : "");
  const good = status < "300" ? "good" : "bad";
  return make("details", { className: "answer" }, make("summary", {}, make("span", { className: `tag ${good}` }, status), ` ${told.description}`), inside);
}

function show(document_) {
  const description = new Description(document_);
  $("about").textContent = document_.info.description;
  for (const tag of document_.tags) {
    const links = make("ul");
    $("contents").append(make("h2", {}, tag.name), links);
    $("routes").append(make("div", { className: "tagged" }, make("h2", {}, tag.name), make("p", {}, tag.description)));
    for (const [path, operations] of Object.entries(document_.paths)) {
      for (const method of METHODS) {
        const operation = operations[method];
        if (!operation?.tags.includes(tag.name)) continue;
        links.append(make("li", {}, make("a", { href: `#${operation.operationId}` }, operation.summary)));
        $("routes").append(route(description, path, method, operation, operations.parameters ?? []));
      }
    }
  }
  // The browser looked for the place before it was there.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const response = await fetch(new URL("../openapi.json", import.meta.url));
  if (!response.ok) throw new Error(`The description could not be read: status ${response.status}.`);
  show(await response.json());
} catch (error) {
  $("problem").textContent = error.message;
  $("problem").hidden = false;
  throw error;
}
