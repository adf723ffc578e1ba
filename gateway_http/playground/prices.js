// Prices and times as people read them.

/** Return dollars as text: "$0.0684", "$0.04", "$12.50"; more digits for small sums. */
export function dollars(amount) {
  if (amount === 0) return "$0";
  const digits = amount >= 1 ? 2 : amount >= 0.01 ? 4 : 6;
  const [whole, rest = ""] = amount.toFixed(digits).split(".");
  return `$${whole}.${rest.replace(/0+$/, "").padEnd(2, "0")}`;
}

/** Return what a model costs, of its `pricing` in `GET /v1/models`: strings, in dollars. */
export function priceOf({ pricing }) {
  if (pricing.image) return `${dollars(Number(pricing.image))} an edit`;
  const million = (price) => dollars(Number(price) * 1e6);
  if (pricing.image_output) return `${million(pricing.image_output)} a million tokens out`;
  return "";
}

/** Return seconds as text: "0.4 s", "12 s", "2 min 05 s". */
export function seconds(amount) {
  if (amount < 10) return `${amount.toFixed(1)} s`;
  if (amount < 60) return `${Math.floor(amount)} s`;
  const rest = String(Math.floor(amount % 60)).padStart(2, "0");
  return `${Math.floor(amount / 60)} min ${rest} s`;
}

/** Return the days from `now` until a date such as "2026-12-01", in UTC; below 0 once it is over. */
export function daysUntil(date, now) {
  return Math.ceil((Date.parse(`${date}T00:00:00Z`) - now) / 86_400_000);
}
