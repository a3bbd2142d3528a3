/** What this browser remembers: how things look, never anything about a patient. */
export type Preference = 'language' | 'theme' | 'seen';

const key = (name: Preference) => `cloister.${name}`;

/** A remembered preference; nothing where the browser keeps nothing. */
export function readPreference(name: Preference): string | null {
  try {
    return localStorage.getItem(key(name));
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

/** Remembers a preference, where the browser lets us. */
export function keepPreference(name: Preference, value: string): void {
  try {
    localStorage.setItem(key(name), value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
