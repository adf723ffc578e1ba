// Prints the edit's share of each pixel of the mask that standard input holds as JSON:
// {width, height, levels}.

import fs from "node:fs";
import { editShare } from "./feather.js";

const mask = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(Array.from(editShare(mask))));
