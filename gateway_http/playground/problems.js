// What went wrong, in words that say what to do next.

/** A failure of a call. `status` is 0 where no answer came. */
export class Problem extends Error {
  constructor({ status, code, message, param = null, retryAfter = null, requestId = "" }) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter, requestId });
  }

  /** Read the error object of an answer that is not 2xx. */
  static async of(response) {
    const error = (await response.json().catch(() => ({}))).error ?? {};
    return new Problem({
      status: response.status,
      code: error.code ?? "",
      message: error.message ?? `The answer had status ${response.status}.`,
      param: error.param,
      retryAfter: Number(response.headers.get("Retry-After")) || null,
      requestId: response.headers.get("x-request-id") ?? "",
    });
  }

  /** A call to which no answer came, or not all of it. */
  static unanswered() {
    return new Problem({ status: 0, code: "unanswered", message: "The gateway did not answer." });
  }

  /** Whether the very same request, under its own idempotency key, may simply be sent again. */
  get isSafeToRepeat() {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

const wait = ({ retryAfter }) => (retryAfter ? `in ${retryAfter} seconds` : "in a moment");

/** @type {Record<string, (problem: Problem) => [string, string]>} what it is, and what to do */
const BY_STATUS = {
  0: () => ["No answer", "Check the connection, then run it again: it is not charged twice."],
  401: () => [
    "The key is not valid",
    "Paste a key under “Key”: “imageedit serve --trial-key” prints one, “imageedit keys create” makes one.",
  ],
  402: () => [
    "Not enough credit",
    "Pick a cheaper model, a smaller size or a lower quality, or have credit added: “imageedit credits add”.",
  ],
  403: () => ["This key may not do that", "Pick a model that the key allows, or use another key."],
  408: () => ["The upload took too long", "Check the connection, or send a smaller picture."],
  413: () => ["The picture is too large", "Make it smaller: up to 16.8 megapixels and 100 MB."],
  422: () => ["The request changed under its own key", "Run it anew."],
  429: (problem) => ["A limit of the key", `Run it again ${wait(problem)}.`],
  500: () => ["A fault of the gateway", "Tell its operator the request id."],
  502: () => ["The model’s vendor failed", "Nothing was charged. Run it again, or pick another model."],
  503: (problem) => ["Busy", `Nothing was charged. Run it again ${wait(problem)}.`],
  504: () => ["The model took too long", "Nothing was charged. Try a lower quality, or another model."],
};

/** Return what a problem is, in a few words, and what to do about it. */
export function advice(problem) {
  if (problem.code === "model_capability_mismatch") {
    return ["This model cannot do that", "Pick another model."];
  }
  const said = BY_STATUS[problem.status];
  if (said) return said(problem);
  return ["The request cannot be used", problem.param ? `Look at “${problem.param}”.` : "Change it and run again."];
}
