// Prints the playground's code for the order that standard input holds, as JSON by language.

import fs from "node:fs";
import * as snippets from "./snippets.js";

const order = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(Object.fromEntries(Object.entries(snippets).map(([name, make]) => [name, make(order)]))));
