// What the browser keeps for this page. It is read as if anybody had written it, and without it the page works too.

/**
 * Return the object that is kept under `name`; an empty one where there is none that can be read.
 * `where`: 'localStorage', or 'sessionStorage' for what goes when the tab is closed.
 */
export function recall(name, where = 'localStorage') {
  try {
    const kept = JSON.parse(globalThis[where].getItem(name));
    return isObject(kept) ? kept : {};
  } catch {
    return {}; // not JSON, or the browser keeps its storage from the page
  }
}

/** Keep an object under `name`; null to keep nothing. */
export function keep(name, value, where = 'localStorage') {
  try {
    if (value === null) globalThis[where].removeItem(name);
    else globalThis[where].setItem(name, JSON.stringify(value));
  } catch {
    // Full or blocked: it holds until the page is closed.
  }
}

/** Return those of an object's values that are texts; none when it is no object. */
export function textsOf(value) {
  return isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, text]) => typeof text === 'string')) : {};
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
