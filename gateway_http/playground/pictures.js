// Files to pixels and back.

/** Return a canvas of a size and its context. */
export function canvasOf(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

/** Decode a picture's file, upright; throws an Error that says what can be read. */
export async function decoded(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new Error("This file is no picture that can be edited: PNG, JPEG or WebP are.");
  }
}

/** Return a picture's RGBA bytes, stretched to a size where one is given. */
export function pixels(bitmap, width = bitmap.width, height = bitmap.height) {
  const [, context] = canvasOf(width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** Return the PNG of RGBA bytes. */
export async function pngOf(data, width, height) {
  const [canvas, context] = canvasOf(width, height);
  context.putImageData(new ImageData(data, width, height), 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Return a mask's PNG: black, opaque where to edit and transparent where to preserve. */
export async function maskFile({ levels, width, height }) {
  const data = new Uint8ClampedArray(levels.length * 4);
  for (let index = 0; index < levels.length; index += 1) data[index * 4 + 3] = levels[index];
  return pngOf(data, width, height);
}

/**
 * Return the levels of a mask's file: by its alpha channel, or by brightness where all of it is
 * opaque. Throws an Error where it is not `width` by `height`.
 */
export async function readMask(blob, width, height) {
  const bitmap = await decoded(blob);
  if (bitmap.width !== width || bitmap.height !== height) {
    throw new Error(
      `The mask has ${bitmap.width}×${bitmap.height} pixels, the picture ${width}×${height}: they must be alike.`,
    );
  }
  const data = pixels(bitmap);
  let transparent = false;
  for (let at = 3; at < data.length && !transparent; at += 4) transparent = data[at] < 255;
  const levels = new Uint8Array(width * height);
  for (let index = 0, at = 0; index < levels.length; index += 1, at += 4) {
    const grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    levels[index] = (transparent ? data[at + 3] : grey) >= 128 ? 255 : 0;
  }
  return levels;
}

/** Return a blob of base64 text. */
export function blobOf(base64, type) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return new Blob([bytes], { type });
}

/** Let the browser save `blob` under a name. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
