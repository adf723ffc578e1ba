// Where a picture lies in its window: zoom and pan. Points in the window and in the picture are
// [x, y] in CSS pixels and in picture pixels.

const CLOSEST = 16; // times
const MARGIN = 48; // CSS pixels of the picture that always stay in the window

export class View {
  constructor(width, height) {
    Object.assign(this, { width, height, scale: 1, x: 0, y: 0, fitted: true });
    this.window = [1, 1];
  }

  /** Return the scale at which the whole picture is seen. */
  get fitting() {
    return Math.min(this.window[0] / this.width, this.window[1] / this.height);
  }

  /** Note the window's size; a picture that was fitted stays so. */
  resize(width, height) {
    this.window = [width, height];
    if (this.fitted) this.fit();
    else this.#hold();
  }

  /** Show the whole picture. */
  fit() {
    this.scale = this.fitting;
    this.x = (this.window[0] - this.width * this.scale) / 2;
    this.y = (this.window[1] - this.height * this.scale) / 2;
    this.fitted = true;
  }

  /** Zoom by `factor`, keeping in place what is at a point of the window (its middle by default). */
  zoom(factor, [x, y] = [this.window[0] / 2, this.window[1] / 2]) {
    const closest = Math.max(CLOSEST, this.fitting);
    const scale = Math.min(closest, Math.max(this.fitting, this.scale * factor));
    const by = scale / this.scale;
    this.x = x - (x - this.x) * by;
    this.y = y - (y - this.y) * by;
    this.scale = scale;
    this.fitted = false;
    if (scale <= this.fitting) this.fit();
    else this.#hold();
  }

  /** Move the picture by CSS pixels. */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#hold();
  }

  /** Return the picture's point at a point of the window. */
  toPicture([x, y]) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** Return the window's point at a point of the picture. */
  toWindow([x, y]) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  #hold() {
    const within = (at, size, room) => Math.min(room - MARGIN, Math.max(MARGIN - size, at));
    this.x = within(this.x, this.width * this.scale, this.window[0]);
    this.y = within(this.y, this.height * this.scale, this.window[1]);
  }
}
