// How much of the model's pixels shows where: the seam that the gateway puts just inside a mask.
// The numbers are the gateway's own (docs/masks.md, "The seam").

const WIDEST = 3; // pixels
const OF_PICTURE = 128; // times the seam is the least that the longer side must be
const MOST = Math.round(255 * 0.6); // of the input's own pixels, just inside the mask

/** Return the edit's share of every pixel, 0 to 255, of a mask's `levels`. */
export function editShare({ levels, width, height }) {
  const seam = Math.min(WIDEST, Math.floor(Math.max(width, height) / OF_PICTURE));
  const share = new Uint8Array(levels.length);
  if (!seam) {
    for (let index = 0; index < levels.length; index += 1) share[index] = levels[index] >= 128 ? 255 : 0;
    return share;
  }
  const kept = blurred(levels, width, height, seam);
  for (let index = 0; index < levels.length; index += 1) {
    share[index] = levels[index] >= 128 ? 255 - Math.min(Math.round(1.5 * kept[index]), MOST) : 0;
  }
  return share;
}

/** Return the mean of what is preserved, 0 to 255, in the square around each pixel; 0 beyond the rim. */
function blurred(levels, width, height, radius) {
  const rows = new Uint8Array(levels.length);
  const side = 2 * radius + 1;
  for (let y = 0; y < height; y += 1) {
    const start = y * width;
    let sum = 0;
    for (let x = -radius; x < width; x += 1) {
      if (x + radius < width && levels[start + x + radius] < 128) sum += 1;
      if (x - radius - 1 >= 0 && levels[start + x - radius - 1] < 128) sum -= 1;
      if (x >= 0) rows[start + x] = sum;
    }
  }
  const means = new Uint8Array(levels.length);
  for (let x = 0; x < width; x += 1) {
    let sum = 0;
    for (let y = -radius; y < height; y += 1) {
      if (y + radius < height) sum += rows[(y + radius) * width + x];
      if (y - radius - 1 >= 0) sum -= rows[(y - radius - 1) * width + x];
      if (y >= 0) means[y * width + x] = Math.round((255 * sum) / (side * side));
    }
  }
  return means;
}
