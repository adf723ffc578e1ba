// The caller's key, kept by this browser alone: in localStorage, or in sessionStorage until the
// tab closes. It goes into the Authorization header and nowhere else, never into a URL.

const NAME = "imageedit.key";

function storages() {
  try {
    return [sessionStorage, localStorage];
  } catch {
    return []; // the browser forbids both
  }
}

/** Return the kept key, or "". */
export function readKey() {
  for (const storage of storages()) {
    const kept = storage.getItem(NAME);
    if (kept) return kept;
  }
  return "";
}

/** Tell whether the kept key outlives the tab; true where none is kept. */
export function isRemembered() {
  const [tab] = storages();
  return !tab?.getItem(NAME);
}

/** Keep `key` until the tab closes, or longer where it is `remembered`; "" forgets it. */
export function keepKey(key, remembered) {
  const [tab, browser] = storages();
  if (!tab) return;
  tab.removeItem(NAME);
  browser.removeItem(NAME);
  if (key) (remembered ? browser : tab).setItem(NAME, key);
}

/** Return the headers that carry `key`; none for "". */
export function authorization(key = readKey()) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
