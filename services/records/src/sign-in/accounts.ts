import { scrypt, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { decodeBase64url } from '@cloister/bytes';
import type { Role } from '../fhir/resource-types.ts';

const base64url = (least: number) =>
  v.pipe(
    v.string(),
    v.regex(/^[\w-]{1,128}$/),
    v.check((text) => text.length >= Math.ceil((least * 4) / 3)),
  );

/**
 * A demonstration account: who it is, and the salted scrypt hash (RFC 7914; r = 8, p = 1, 32
 * bytes) of its password. The hospital's identity provider takes their place.
 */
export const accountSchema = v.strictObject({
  user: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9.-]{0,63}$/)),
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  role: v.picklist(['clerk', 'radiologist'] satisfies Role[]),
  scrypt: v.strictObject({
    salt: base64url(16),
    hash: base64url(32),
    /** Cost: a power of two. */
    N: v.picklist([1 << 14, 1 << 15, 1 << 16, 1 << 17]),
  }),
});

/** A demonstration account. */
export type Account = Readonly<v.InferOutput<typeof accountSchema>>;

const COMPARED = { salt: 'AAAAAAAAAAAAAAAAAAAAAA', hash: 'A'.repeat(43), N: 1 << 15 };

/** The account whose password this is; undefined for a wrong one, in the same time as for no account. */
export async function checkPassword(
  accounts: readonly Account[],
  user: string,
  password: string,
): Promise<Account | undefined> {
  const account = accounts.find((candidate) => candidate.user === user);
  const { salt, hash, N } = account?.scrypt ?? COMPARED;
  const derived = await derive(password, decodeBase64url(salt, 'salt'), N);
  const expected = decodeBase64url(hash, 'hash');
  const same = derived.length === expected.length && timingSafeEqual(derived, expected);
  return same ? account : undefined;
}

function derive(password: string, salt: Uint8Array, N: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { N, r: 8, p: 1, maxmem: 256 * N * 8 };
    scrypt(password.normalize('NFC'), salt, 32, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
