// The mask as a coverage plane: one byte a pixel, 255 where to edit and 0 where to preserve.
// Every change is a step that can be undone; no canvas, no document.

const MOST_HISTORY = 96 * 1024 * 1024; // bytes of steps kept; the oldest go first

/** @typedef {{left: number, top: number, width: number, height: number}} Box in pixels */

export class Mask {
  #steps = [];
  #undone = [];
  #before = null; // the whole plane as it was when the running step began
  #dirty = null;

  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.levels = new Uint8Array(width * height);
  }

  get canUndo() {
    return this.#steps.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Return how many pixels are to be edited. */
  get selected() {
    let count = 0;
    for (const level of this.levels) if (level >= 128) count += 1;
    return count;
  }

  /** Begin a step; what follows until `commit` is undone as one. */
  begin() {
    this.commit();
    this.#before = this.levels.slice();
    this.#dirty = null;
  }

  /** End the running step; one that changed nothing leaves no trace. */
  commit() {
    const box = this.#dirty;
    if (this.#before && box) {
      const after = this.#cut(this.levels, box);
      const before = this.#cut(this.#before, box);
      if (after.some((level, index) => level !== before[index])) {
        this.#steps.push({ box, before, after });
        this.#undone = [];
        this.#forget();
      }
    }
    this.#before = null;
    this.#dirty = null;
  }

  /** Set all within `radius` of the line between two points; return the box that changed. */
  stroke(x0, y0, x1, y1, radius, level) {
    const box = this.#clip(
      Math.floor(Math.min(x0, x1) - radius),
      Math.floor(Math.min(y0, y1) - radius),
      Math.ceil(Math.max(x0, x1) + radius),
      Math.ceil(Math.max(y0, y1) + radius),
    );
    if (!box) return null;
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    for (let y = box.top; y < box.top + box.height; y += 1) {
      for (let x = box.left; x < box.left + box.width; x += 1) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const [ox, oy] = [px - along * dx, py - along * dy];
        if (ox * ox + oy * oy <= radius * radius) this.levels[y * this.width + x] = level;
      }
    }
    return this.#touch(box);
  }

  /** Set a rectangle between two corners, rounded to whole pixels; return the box that changed. */
  rectangle(x0, y0, x1, y1, level) {
    const box = this.#clip(
      Math.round(Math.min(x0, x1)),
      Math.round(Math.min(y0, y1)),
      Math.round(Math.max(x0, x1)),
      Math.round(Math.max(y0, y1)),
    );
    if (!box) return null;
    for (let y = box.top; y < box.top + box.height; y += 1) {
      const start = y * this.width + box.left;
      this.levels.fill(level, start, start + box.width);
    }
    return this.#touch(box);
  }

  /** Swap what is edited and what is preserved. */
  invert() {
    return this.#whole(() => {
      for (let index = 0; index < this.levels.length; index += 1) {
        this.levels[index] = 255 - this.levels[index];
      }
    });
  }

  /** Preserve everything. */
  clear() {
    return this.#whole(() => this.levels.fill(0));
  }

  /** Take over another plane of the same size. */
  load(levels) {
    if (levels.length !== this.levels.length) throw new RangeError("a mask of another size");
    return this.#whole(() => this.levels.set(levels));
  }

  /** Take back the last step; return the box that changed, or null. */
  undo() {
    return this.#move(this.#steps, this.#undone, "before");
  }

  /** Do the last undone step again; return the box that changed, or null. */
  redo() {
    return this.#move(this.#undone, this.#steps, "after");
  }

  #whole(change) {
    this.begin();
    change();
    const box = this.#touch({ left: 0, top: 0, width: this.width, height: this.height });
    this.commit();
    return box;
  }

  #move(from, to, side) {
    this.commit();
    const step = from.pop();
    if (!step) return null;
    to.push(step);
    const { left, top, width, height } = step.box;
    for (let row = 0; row < height; row += 1) {
      const line = step[side].subarray(row * width, (row + 1) * width);
      this.levels.set(line, (top + row) * this.width + left);
    }
    return step.box;
  }

  #cut(plane, { left, top, width, height }) {
    const cut = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
      const start = (top + row) * this.width + left;
      cut.set(plane.subarray(start, start + width), row * width);
    }
    return cut;
  }

  #clip(left, top, right, bottom) {
    const [l, t] = [Math.max(0, left), Math.max(0, top)];
    const [width, height] = [Math.min(this.width, right) - l, Math.min(this.height, bottom) - t];
    return width > 0 && height > 0 ? { left: l, top: t, width, height } : null;
  }

  #touch(box) {
    const old = this.#dirty;
    if (!old) {
      this.#dirty = box;
      return box;
    }
    const left = Math.min(old.left, box.left);
    const top = Math.min(old.top, box.top);
    const right = Math.max(old.left + old.width, box.left + box.width);
    const bottom = Math.max(old.top + old.height, box.top + box.height);
    this.#dirty = { left, top, width: right - left, height: bottom - top };
    return box;
  }

  #forget() {
    let bytes = this.#steps.reduce((sum, step) => sum + 2 * step.after.length, 0);
    while (bytes > MOST_HISTORY && this.#steps.length > 1) {
      bytes -= 2 * this.#steps.shift().after.length;
    }
  }
}
