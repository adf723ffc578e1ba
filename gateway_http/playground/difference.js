// What an edit changed, as a heat map: black where nothing did, then violet, orange and yellow.

const STRENGTH = 3; // times the change itself, as in docs/masks.md
const STOPS = [
  [0, 0, 4],
  [87, 16, 110],
  [188, 55, 84],
  [249, 142, 9],
  [252, 255, 164],
];

/** Return the colour of a change from 0 to 255. */
function colour(change) {
  const place = (Math.min(255, change) / 255) * (STOPS.length - 1);
  const from = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[from].map((low, index) => low + (STOPS[from + 1][index] - low) * (place - from));
}

const RAMP = new Uint8ClampedArray(Array.from({ length: 256 }, (_, change) => colour(change)).flat());

/**
 * Compare two pictures of one size, as RGBA bytes.
 *
 * Returns `pixels` (RGBA bytes of the map), `mean` (the mean absolute change over all colours,
 * 0 to 1), and `changed` (the share of pixels that are not the same).
 */
export function heat(before, after) {
  if (before.length !== after.length) throw new RangeError("pictures of two sizes");
  const pixels = new Uint8ClampedArray(before.length);
  let [sum, changed] = [0, 0];
  for (let at = 0; at < before.length; at += 4) {
    const red = Math.abs(before[at] - after[at]);
    const green = Math.abs(before[at + 1] - after[at + 1]);
    const blue = Math.abs(before[at + 2] - after[at + 2]);
    const change = red + green + blue;
    sum += change;
    if (change || before[at + 3] !== after[at + 3]) changed += 1;
    const step = 3 * Math.min(255, Math.round((STRENGTH * change) / 3));
    pixels[at] = RAMP[step];
    pixels[at + 1] = RAMP[step + 1];
    pixels[at + 2] = RAMP[step + 2];
    pixels[at + 3] = 255;
  }
  const count = before.length / 4;
  return { pixels, mean: sum / (count * 3 * 255), changed: changed / count };
}
