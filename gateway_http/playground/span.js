// From what the filters say to the query of `GET /v1/usage`, and the days that an answer is about.

const DAY = 86_400; // seconds

const named = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);

/** Return the query for settings; `now` is in Unix seconds. Days are UTC, and whole. */
export function query({ period, from, to, model, user, outcome }, now = Date.now() / 1000) {
  const today = Math.floor(now / DAY) * DAY;
  const asked = new URLSearchParams();
  if (period) asked.set("start_time", String(today - (Number(period) - 1) * DAY));
  if (!period && from) asked.set("start_time", from);
  if (!period && to) asked.set("end_time", String(Date.parse(`${to}T00:00:00Z`) / 1000 + DAY));
  for (const [name, value] of Object.entries({ model, user, outcome })) if (value) asked.set(name, value);
  return asked;
}

/** Return the days, "YYYY-MM-DD", from `start` to before `end` in Unix seconds. */
export function days(start, end) {
  const found = [];
  for (let at = Math.floor(start / DAY) * DAY; at < end; at += DAY) found.push(named(at));
  return found;
}
