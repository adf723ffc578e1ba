// Server-sent events out of pieces of text, as the HTML standard reads `text/event-stream`;
// only `data` is looked at, which is JSON here and names its own type.

export class EventReader {
  #rest = "";
  #seen = 0; // of #rest, in which no event ends

  /** Take a piece of the stream; return the JSON of every event that it ends. */
  push(text) {
    this.#rest += text;
    const events = [];
    for (;;) {
      const end = this.#rest.indexOf("\n\n", Math.max(0, this.#seen - 1));
      if (end < 0) {
        this.#seen = this.#rest.length;
        return events;
      }
      const data = this.#rest
        .slice(0, end)
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      this.#rest = this.#rest.slice(end + 2);
      this.#seen = 0;
      if (data) events.push(JSON.parse(data));
    }
  }
}
