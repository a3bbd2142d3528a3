import { randomBytes, randomInt, scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, parseJson } from '@cloister/bytes';
import { readIfThere } from './parties.ts';
import type { Places } from './places.ts';

/** A demonstration account with its password, as it is shown to whoever started the platform. */
export interface Account {
  readonly user: string;
  readonly name: string;
  readonly role: string;
  readonly password: string;
}

const PEOPLE = [
  { user: 'clerk', name: 'Wang Min', role: 'clerk' },
  { user: 'radiologist', name: 'Li Na', role: 'radiologist' },
] as const;
const COST = 1 << 15;
/** Letters and digits that nobody mistakes for each other. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';

/**
 * The demonstration accounts of this machine: passwords are random and kept in a file of their own;
 * `records` gets their salted scrypt hashes only.
 */
export function openAccounts(places: Places): {
  readonly file: string;
  readonly accounts: readonly Account[];
} {
  const passwords = join(places.folder, 'passwords.json');
  const file = join(places.folder, 'accounts.json');
  const stored = readIfThere(passwords);
  if (stored !== undefined && readIfThere(file) !== undefined) {
    return { file, accounts: parseAccounts(stored) };
  }
  const accounts = PEOPLE.map((person) => ({ ...person, password: makePassword() }));
  const hashed = accounts.map(({ password, ...person }) => ({ ...person, scrypt: hash(password) }));
  writeFileSync(file, `${JSON.stringify(hashed, null, 2)}\n`, { mode: 0o600 });
  writeFileSync(passwords, `${JSON.stringify(accounts, null, 2)}\n`, { mode: 0o600 });
  return { file, accounts };
}

function makePassword(): string {
  const letters = Array.from({ length: 12 }, () => ALPHABET[randomInt(ALPHABET.length)] ?? '');
  return [0, 4, 8].map((at) => letters.slice(at, at + 4).join('')).join('-');
}

function hash(password: string): { salt: string; hash: string; N: number } {
  const salt = randomBytes(16);
  const options = { N: COST, r: 8, p: 1, maxmem: 256 * COST * 8 };
  const derived = scryptSync(password.normalize('NFC'), salt, 32, options);
  return { salt: salt.toString('base64url'), hash: derived.toString('base64url'), N: COST };
}

function parseAccounts(text: string): Account[] {
  const list = parseJson(text, 'accounts');
  return (Array.isArray(list) ? list : []).filter(isJsonObject).map((account) => {
    const member = (name: string) => {
      const value = account[name];
      return typeof value === 'string' ? value : '';
    };
    return {
      user: member('user'),
      name: member('name'),
      role: member('role'),
      password: member('password'),
    };
  });
}
