import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64url, type JsonObject, type JsonValue } from '@cloister/bytes';
import * as fc from 'fast-check';
import {
  encodeEnvelope,
  encodeIntelEndorsements,
  intelCollateralOf,
  parseEnvelope,
  type EvidenceEnvelope,
} from './envelope.ts';

const collateral = {
  tcbInfo: '{"tcbInfo":{},"signature":""}',
  qeIdentity: '{}',
  tcbInfoChain: 'PEM',
  qeIdentityChain: 'PEM',
  pckCrl: Uint8Array.of(1),
  rootCaCrl: Uint8Array.of(2),
};
const envelope: EvidenceEnvelope = {
  format: 'sgx-quote',
  evidence: Uint8Array.of(1, 2, 3),
  runtimeData: Uint8Array.of(4),
  endorsements: encodeIntelEndorsements(collateral),
  tokens: ['a.b.c'],
  noncePath: { index: 1, size: 2, path: [new Uint8Array(32)] },
};
const json = encodeEnvelope(envelope);

describe('parseEnvelope', () => {
  it('reads what encodeEnvelope writes', () => {
    assert.deepEqual(parseEnvelope(json), envelope);
    const { endorsements: _, noncePath: __, ...bare } = envelope;
    assert.deepEqual(parseEnvelope(encodeEnvelope(bare)), bare);
  });

  const cases: Record<string, JsonValue> = {
    'no object': [],
    nothing: null,
    'an unknown member': { ...json, more: 1 },
    'an unknown format': { ...json, format: 'nitro' },
    'padded base64': { ...json, evidence: 'AA==' },
    'too much evidence': { ...json, evidence: 'A'.repeat(100_000) },
    'too many tokens': { ...json, tokens: Array.from({ length: 9 }, () => 'a.b.c') },
    'a token that is no string': { ...json, tokens: [1] },
    'a huge token': { ...json, tokens: ['a'.repeat(70_000)] },
    'endorsements that are no object': { ...json, endorsements: 'x' },
    'a path that leads nowhere': { ...json, noncePath: { index: 2, size: 2, path: [] } },
    'a path of short nodes': { ...json, noncePath: { index: 0, size: 2, path: ['AAAA'] } },
  };
  for (const [name, value] of Object.entries(cases)) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseEnvelope(value), { name: 'MalformedError' });
    });
  }
  for (const member of ['format', 'evidence', 'runtimeData', 'tokens']) {
    it(`refuses an envelope without ${member}`, () => {
      const { [member]: _, ...rest } = json;
      assert.throws(() => parseEnvelope(rest), { where: `evidence: /${member}` });
    });
  }

  it('never throws anything but MalformedError', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(json)), (value, member) => {
        const changed = { ...json, [member]: value as JsonValue };
        try {
          parseEnvelope(changed);
        } catch (error) {
          assert.equal((error as Error).name, 'MalformedError');
        }
      }),
    );
  });
});

describe('intelCollateralOf', () => {
  it('reads what encodeIntelEndorsements writes', () => {
    assert.deepEqual(intelCollateralOf(encodeIntelEndorsements(collateral)), collateral);
    const withChain = { ...collateral, pckChain: 'PEM' };
    assert.deepEqual(intelCollateralOf(encodeIntelEndorsements(withChain)), withChain);
  });

  it('refuses a member that lacks, is unknown, too large or of another type', () => {
    const good = encodeIntelEndorsements(collateral);
    const { pckCrl: _, ...short } = good;
    const bad: JsonObject[] = [
      short,
      { ...good, vcek: '' },
      { ...good, tcbInfo: {} },
      { ...good, rootCaCrl: '!' },
      { ...good, pckCrl: encodeBase64url(new Uint8Array(1_100_000)) },
    ];
    for (const value of bad)
      assert.throws(() => intelCollateralOf(value), { name: 'MalformedError' });
  });
});
