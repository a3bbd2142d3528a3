import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import { createLog, errorCode, errorPlace, opaqueId, routeTemplate, type SafeText } from './log.ts';

type Events = {
  readonly served: {
    readonly kind: 'sgx' | 'simulated';
    readonly ms: number;
    readonly id: SafeText;
  };
  readonly noted: { readonly name: string };
};

describe('createLog', () => {
  const lines: string[] = [];
  const log = createLog<Events>({
    service: 'records',
    write: (line) => void lines.push(line),
    now: () => new Date(0),
  });

  it('writes one line of JSON per event', () => {
    log('served', { kind: 'sgx', ms: 1.5, id: opaqueId('0f-AB') });
    assert.deepEqual(lines, [
      '{"time":"1970-01-01T00:00:00.000Z","service":"records","event":"served","kind":"sgx","ms":1.5,"id":"0f-AB"}\n',
    ]);
  });

  it('does not type-check with a free string', () => {
    const free = lines.join('');
    if (free === 'CANARY') {
      // @ts-expect-error -- a string that nobody checked
      log('served', { kind: 'sgx', ms: 1, id: free });
      // @ts-expect-error -- an event that declares one
      log('noted', { name: free });
    }
  });
});

describe('what may be logged as text', () => {
  it('is an identifier, a template or a code', () => {
    assert.equal(opaqueId('5f2c-00ff'), '5f2c-00ff');
    assert.equal(opaqueId('CANARY-Zhang'), 'invalid');
    assert.equal(routeTemplate('/fhir/:type/:id'), '/fhir/:type/:id');
    assert.equal(routeTemplate('/fhir/Patient?name=Zhang'), 'invalid');
  });

  it('is of an error its code and place, never its message', () => {
    assert.equal(errorCode(new Error('CANARY')), 'internal');
    assert.equal(errorPlace(new Error('CANARY')), '');
    assert.equal(errorCode(Object.assign(new Error('CANARY'), { code: 'ENOSPC' })), 'ENOSPC');
    assert.equal(errorCode(Object.assign(new Error('x'), { code: 'CANARY Zhang' })), 'internal');
    const malformed = new MalformedError('truncated', 'quote at byte 3');
    assert.equal(errorCode(malformed), 'truncated');
    assert.equal(errorPlace(malformed), 'quote at byte 3');
  });
});
