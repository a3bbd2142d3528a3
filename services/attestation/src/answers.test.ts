/** What the tests of this service ask, and how they read the answers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { decodeUtf8, encodeUtf8, type JsonObject, parseJsonObject } from '@cloister/bytes';
import { parseJws } from '@cloister/crypto';
import { shared } from '../../../tests/shared.ts';
import { b64 } from './fixture.test.ts';

export const SGX = '/attest/SgxEnclave?api-version=2020-10-01';
export const OE = '/attest/OpenEnclave?api-version=2022-08-01';
export const SIMULATED = '/attest/Simulated?api-version=2025-06-01';
/** What the recorded tokens differ in by nature: time, place, chance, and newer documents. */
export const VARYING = [
  'iss',
  'iat',
  'nbf',
  'exp',
  'jti',
  'x-ms-sgx-collateral',
  'maa-attestationcollateral',
];

export const tokenOf = async (answer: Response): Promise<string> => {
  const body = (await answer.json()) as { token?: string };
  assert.equal(answer.status, 200, JSON.stringify(body));
  return body.token ?? '';
};
export const payloadOf = (token: string): JsonObject =>
  parseJsonObject(decodeUtf8(parseJws(token).payload));
export const errorOf = async (answer: Response) => {
  const { error } = (await answer.json()) as {
    error: { code: string; message: string; innererror: unknown };
  };
  const { code, message, innererror } = error;
  assert.deepEqual(innererror, { code, message });
  return { status: answer.status, code, message };
};
export const recordedToken = (name: string): JsonObject =>
  payloadOf(readFileSync(shared(`vectors/maa/tokens/${name}.jwt`), 'utf8').trim());
export const bytes = (text: string): string => b64(encodeUtf8(text));
export const without = (payload: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(payload).filter(([name]) => !VARYING.includes(name)));
