// Schemas of a description as tables of fields, and examples as text.

import { make } from "./element.js";

const LONG = 96; // characters of a text in an example

/** Reads what a description refers to. */
export class Description {
  constructor(document) {
    this.document = document;
  }

  /** Return what `node` stands for, with what is said beside its reference. */
  read(node) {
    let read = node;
    while (read?.$ref) {
      const { $ref, ...beside } = read;
      const target = $ref.slice(2).split("/").reduce((at, name) => at[name.replaceAll("~1", "/")], this.document);
      read = { ...target, ...beside };
    }
    if (read?.allOf) {
      const parts = read.allOf.map((part) => this.read(part));
      const properties = Object.assign({}, ...parts.toReversed().map((part) => part.properties));
      read = { ...read, type: "object", properties, required: parts.flatMap((part) => part.required ?? []) };
    }
    const some = read?.anyOf?.filter((part) => part.type !== "null");
    if (some?.length === 1 && some[0].required === undefined) {
      read = { ...this.read(some[0]), ...(read.description && { description: read.description }), nullable: true };
    }
    return read ?? {};
  }

  /** Return what a schema takes, in a few words. */
  kind(schema) {
    const types = [schema.type ?? (schema.enum || "const" in schema ? [] : ["any"])].flat();
    const said = types.filter((type) => type !== "null").map((type) => (type === "array" ? `array of ${this.kind(this.read(schema.items))}` : type));
    if (schema.contentMediaType) said.splice(0, said.length, "file");
    if (schema.format) said.push(schema.format);
    if ("const" in schema) said.push(JSON.stringify(schema.const));
    if (schema.enum) said.push(schema.enum.filter((one) => one !== null).join(" · "));
    const bounds = [["minimum", "≥"], ["maximum", "≤"], ["maxLength", "characters ≤"], ["maxItems", "items ≤"]];
    said.push(...bounds.filter(([name]) => name in schema).map(([name, sign]) => `${sign} ${schema[name].toLocaleString("en")}`));
    if ("default" in schema) said.push(`default ${schema.default}`);
    const example = typeof schema.examples?.[0] === "string" ? schema.examples[0] : "";
    if (example && example.length < LONG) said.push(`such as ${example}`);
    if (types.includes("null") || schema.nullable) said.push("or null");
    return said.join(", ");
  }

  /** Return the table of an object's fields; "" for what has none. */
  fields(node) {
    const schema = this.read(node);
    if (schema.oneOf) return make("div", {}, ...schema.oneOf.map((part) => make("div", {}, make("h4", {}, part.$ref?.split("/").pop() ?? ""), this.fields(part))));
    if (schema.type === "array") return this.fields(schema.items);
    if (!schema.properties) return "";
    const rows = Object.entries(schema.properties).map(([name, value]) => this.field(name, value, schema.required?.includes(name)));
    return table(rows);
  }

  /** Return the row of a field, parameter or header. */
  field(name, node, required) {
    const schema = this.read(node);
    const first = make("td", {}, make("code", {}, name), required ? make("span", { className: "must" }, " required") : "");
    const inside = this.fields(schema);
    const more = inside && make("details", {}, make("summary", { className: "small" }, "Fields"), inside);
    return make("tr", {}, first, make("td", {}, schema.description ?? "", make("span", { className: "kind" }, this.kind(schema)), more));
  }

  /** Return the examples of a body, as texts. */
  examples(content) {
    const named = Object.values(content.examples ?? {}).map((example) => example.value);
    const schema = this.read(content.schema);
    const parts = schema.oneOf?.flatMap((part) => this.read(part).examples ?? []) ?? [];
    return [...named, ...(schema.examples ?? []), ...parts].map(asText);
  }
}

/** Return a table of rows, each a name and what there is to say of it. */
export function table(rows) {
  const head = make("thead", { className: "unseen" }, make("tr", {}, make("th", { scope: "col" }, "Name"), make("th", { scope: "col" }, "Meaning")));
  return make("table", { className: "fields" }, head, make("tbody", {}, ...rows));
}

function asText(value) {
  if (typeof value === "string") return value;
  const cut = (_, one) => (typeof one === "string" && one.length > LONG ? `${one.slice(0, LONG)}…` : one);
  return JSON.stringify(value, cut, 2);
}
