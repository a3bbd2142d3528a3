import type { Random } from '@cloister/sealing';

/** A random UUID, version 4 (RFC 9562 section 5.4). */
export function newId(random: Random): string {
  const bytes = random(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const parts = [0, 8, 12, 16, 20, 32].map((start, i, cuts) => hex.slice(start, cuts[i + 1]));
  return parts.slice(0, 5).join('-');
}
