import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carriesInput, guardSending } from './guard-sending.ts';

const request = (method: string, path: string) => new Request(`https://records${path}`, { method });
const typed = [
  request('POST', '/session'),
  request('POST', '/fhir/Patient'),
  request('POST', '/images?patient=p'),
  request('PUT', '/fhir/Patient/p'),
  request('GET', '/fhir/Patient?name=Rivera&_count=200'),
];
const known = [
  request('GET', '/fhir/Patient/p'),
  request('GET', '/fhir/Task?patient=p'),
  request('GET', '/events'),
  request('DELETE', '/session'),
];

describe('carriesInput', () => {
  it('is true of what somebody typed or chose, and of what is searched for', () => {
    for (const one of typed) assert.equal(carriesInput(one), true, one.url);
    for (const one of known) assert.equal(carriesInput(one), false, one.url);
  });
});

describe('guardSending', () => {
  it('sends nothing new, or nothing at all, while there is a reason', async () => {
    let reason: 'input' | 'all' | undefined;
    let sent = 0;
    const fetch = guardSending(
      async () => {
        sent += 1;
        return new Response();
      },
      () => reason,
    );
    const outcomes = async (requests: readonly Request[]) => {
      sent = 0;
      for (const one of requests)
        await fetch(one).catch((error: { code?: string }) => assert.equal(error.code, 'not_sent'));
      return sent;
    };
    assert.deepEqual([await outcomes(typed), await outcomes(known)], [typed.length, known.length]);
    reason = 'input';
    assert.deepEqual([await outcomes(typed), await outcomes(known)], [0, known.length]);
    reason = 'all';
    assert.deepEqual([await outcomes(typed), await outcomes(known)], [0, 0]);
  });
});
