// Pointer, wheel and keys become strokes, rectangles, zoom and pan.

const WHEEL = 0.0015; // of zoom, for each pixel that a wheel says
const ZOOM = 1.25;
const STEP = 8; // picture pixels that an arrow key moves the cross; with Shift ten times as many
const TOOL_KEYS = { b: "brush", e: "eraser", r: "rectangle", h: "hand" };

export class Tools {
  tool = "brush";
  size = 80; // of the brush, in picture pixels
  #stage;
  #changed;
  #pointers = new Map(); // from a pointer's id to where it was last
  #last = null; // picture point of the stroke under way
  #corner = null; // of the rectangle under way

  /** `changed` is called with "mask", "view" or "tool". */
  constructor(stage, changed) {
    this.#stage = stage;
    this.#changed = changed;
    const on = (name, act) => stage.canvas.addEventListener(name, act.bind(this), { passive: false });
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.#up);
    on("pointerleave", () => this.#point(null));
    on("wheel", this.#wheel);
    on("keydown", this.#key);
    on("focus", () => stage.canvas.matches(":focus-visible") && this.#cross(0, 0));
    on("blur", () => this.#point(null));
  }

  /** Take another tool. */
  take(tool) {
    this.tool = tool;
    this.#corner = null;
    this.#changed("tool");
    this.#stage.draw();
  }

  /** Set the brush's size in picture pixels, within what makes sense. */
  resize(size) {
    this.size = Math.round(Math.min(400, Math.max(4, size)));
    if (this.#stage.cursor?.radius) this.#stage.cursor.radius = this.size / 2;
    this.#changed("tool");
    this.#stage.draw();
  }

  /** Zoom in or out around the middle, or a point of the window. */
  zoom(factor, at) {
    this.#stage.view.zoom(factor, at);
    this.#changed("view");
    this.#stage.draw();
  }

  get #level() {
    return this.tool === "eraser" ? 0 : 255;
  }

  #at(event) {
    const box = this.#stage.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button > 1) return undefined; // the menu's
    const at = this.#at(event);
    this.#stage.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 2) return this.#drop(); // a second finger zooms
    if (this.tool === "hand" || event.button === 1) return undefined;
    const point = this.#stage.view.toPicture(at);
    this.#stage.mask.begin();
    if (this.tool === "rectangle") this.#corner = point;
    else this.#stroke(point, point);
    return this.#point(point);
  }

  #move(event) {
    const at = this.#at(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) return this.#point(this.#stage.view.toPicture(at));
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, at);
    else if (this.#last) {
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const one of moves.length ? moves : [event]) {
        this.#stroke(this.#last, this.#stage.view.toPicture(this.#at(one)));
      }
    } else if (!this.#corner) this.#pan(at[0] - before[0], at[1] - before[1]);
    this.#pointers.set(event.pointerId, at);
    return this.#point(this.#stage.view.toPicture(at));
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#corner) this.#rectangle(this.#stage.view.toPicture(this.#at(event)));
    this.#end();
  }

  #drop() {
    this.#corner = null;
    this.#end();
  }

  #end() {
    if (this.#last) this.#commit();
    this.#last = null;
  }

  #pinch(id, at) {
    const before = this.#pointers.get(id);
    const [, other] = [...this.#pointers].find(([one]) => one !== id);
    const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.#pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.zoom(far(at, other) / far(before, other), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  #pan(dx, dy) {
    this.#stage.view.pan(dx, dy);
    this.#changed("view");
    this.#stage.draw();
  }

  #stroke(from, to) {
    this.#last = to;
    this.#stage.refresh(this.#stage.mask.stroke(...from, ...to, this.size / 2, this.#level));
  }

  #rectangle(to) {
    this.#stage.refresh(this.#stage.mask.rectangle(...this.#corner, ...to, 255));
    this.#corner = null;
    this.#commit();
    this.#point(to);
  }

  #commit() {
    this.#stage.mask.commit();
    this.#changed("mask");
  }

  #point(point, cross = false) {
    const brush = this.tool === "brush" || this.tool === "eraser";
    const [x, y] = point ?? [];
    const radius = brush ? this.size / 2 : 0;
    this.#stage.cursor = point && this.tool !== "hand" ? { x, y, radius, corner: this.#corner, cross } : null;
    this.#stage.draw();
  }

  #wheel(event) {
    // A bare wheel scrolls the page, unless the picture is what is being moved.
    if (!event.ctrlKey && !event.metaKey && this.tool !== "hand") return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * WHEEL * (event.deltaMode === 1 ? 20 : 1)), this.#at(event));
  }

  #cross(dx, dy) {
    const { cursor, mask } = this.#stage;
    const hold = (at, size) => Math.min(size, Math.max(0, at));
    const x = hold((cursor?.x ?? mask.width / 2) + dx, mask.width);
    const y = hold((cursor?.y ?? mask.height / 2) + dy, mask.height);
    this.#point([x, y], true);
    return [x, y];
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEP * (event.shiftKey ? 10 : 1);
    const acts = {
      ArrowLeft: () => this.#cross(-step, 0),
      ArrowRight: () => this.#cross(step, 0),
      ArrowUp: () => this.#cross(0, -step),
      ArrowDown: () => this.#cross(0, step),
      " ": () => this.#press(),
      Escape: () => this.take(this.tool),
      "[": () => this.resize(this.size / ZOOM),
      "]": () => this.resize(this.size * ZOOM),
      "+": () => this.zoom(ZOOM),
      "=": () => this.zoom(ZOOM),
      "-": () => this.zoom(1 / ZOOM),
      0: () => this.zoom(0), // as far out as it goes
    };
    const tool = TOOL_KEYS[event.key.toLowerCase()];
    if (!acts[event.key] && !tool) return;
    event.preventDefault();
    if (tool) this.take(tool);
    else acts[event.key]();
  }

  #press() {
    const point = this.#cross(0, 0);
    if (this.tool === "hand") return;
    if (this.tool !== "rectangle") {
      this.#stage.mask.begin();
      this.#stroke(point, point);
      this.#last = null;
      this.#commit();
    } else if (this.#corner) this.#rectangle(point);
    else {
      this.#stage.mask.begin();
      this.#corner = point;
    }
    this.#cross(0, 0);
  }
}
