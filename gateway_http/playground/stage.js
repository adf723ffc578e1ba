// The canvas: the picture, the mask over it, and where the brush is. Draws; does not listen.

import { editShare } from "./feather.js";
import { canvasOf } from "./pictures.js";
import { View } from "./view.js";

const PAINT = [255, 40, 110];
const PAINT_ALPHA = 0.5;
const SHADE_ALPHA = 0.72; // over what stays, in the feathered preview

export class Stage {
  mask = null;
  bitmap = null;
  cursor = null; // {x, y} in picture pixels, and `radius` or `corner`: where the tool is
  #feathered = false;
  #stale = false; // whether the mask changed since its feathered form was painted
  #drawn = true;

  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  /** Show a picture with its mask. */
  open(bitmap, mask) {
    Object.assign(this, { bitmap, mask, cursor: null });
    this.view = new View(bitmap.width, bitmap.height);
    [this.overlay, this.paint] = canvasOf(bitmap.width, bitmap.height);
    this.refresh();
    this.#resize();
  }

  get feathered() {
    return this.#feathered;
  }

  /** Show where the result will be the model's and where the input's, or the painted mask. */
  set feathered(wanted) {
    this.#feathered = wanted;
    this.refresh();
  }

  /** Paint the mask anew, within `box` where one is given. */
  refresh(box = null) {
    if (!this.mask) return;
    const { width, height } = this.mask;
    if (this.#feathered) this.#stale = true; // once a frame is enough for all of it
    else this.#paintMask(box ?? { left: 0, top: 0, width, height });
    this.draw();
  }

  /** Draw with the next frame. */
  draw() {
    if (!this.#drawn) return;
    this.#drawn = false;
    requestAnimationFrame(() => {
      this.#drawn = true;
      this.#paintAll();
    });
  }

  #paintMask({ left, top, width, height }) {
    const data = new ImageData(width, height);
    for (let row = 0; row < height; row += 1) {
      const from = (top + row) * this.mask.width + left;
      for (let column = 0; column < width; column += 1) {
        const at = (row * width + column) * 4;
        [data.data[at], data.data[at + 1], data.data[at + 2]] = PAINT;
        data.data[at + 3] = this.mask.levels[from + column] * PAINT_ALPHA;
      }
    }
    this.paint.putImageData(data, left, top);
  }

  #paintShare() {
    const [share, { width, height }] = [editShare(this.mask), this.mask];
    const data = new ImageData(width, height);
    for (let index = 0; index < share.length; index += 1) {
      data.data[index * 4 + 3] = (255 - share[index]) * SHADE_ALPHA;
    }
    this.paint.putImageData(data, 0, 0);
    this.#stale = false;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!this.view || !width || !height) return;
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this.view.resize(width, height);
    this.#paintAll();
    this.canvas.dispatchEvent(new Event("viewchange"));
  }

  #paintAll() {
    if (!this.view) return;
    if (this.#feathered && this.#stale) this.#paintShare();
    const context = this.canvas.getContext("2d");
    const { view } = this;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, ...view.window);
    context.imageSmoothingEnabled = view.scale < 3; // close up, pixels are pixels
    context.imageSmoothingQuality = "high";
    const place = [view.x, view.y, view.width * view.scale, view.height * view.scale];
    context.drawImage(this.bitmap, ...place);
    context.drawImage(this.overlay, ...place);
    if (this.cursor) this.#paintCursor(context);
  }

  #paintCursor(context) {
    const { x, y, radius, corner, cross } = this.cursor;
    const [wx, wy] = this.view.toWindow([x, y]);
    const path = new Path2D();
    if (corner) {
      const [cx, cy] = this.view.toWindow(corner);
      path.rect(Math.min(wx, cx), Math.min(wy, cy), Math.abs(wx - cx), Math.abs(wy - cy));
    } else if (radius) {
      path.arc(wx, wy, radius * this.view.scale, 0, 2 * Math.PI);
    }
    if (cross || !radius) {
      path.moveTo(wx - 8, wy);
      path.lineTo(wx + 8, wy);
      path.moveTo(wx, wy - 8);
      path.lineTo(wx, wy + 8);
    }
    // White on black, so that it shows on every picture.
    for (const [width, style] of [[3, "rgba(0,0,0,.55)"], [1.25, "#fff"]]) {
      Object.assign(context, { lineWidth: width, strokeStyle: style });
      context.stroke(path);
    }
  }
}
