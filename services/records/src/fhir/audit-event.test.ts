import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { validateFhir } from '@cloister/clinical';
import { restoreAudit, rewrapAudit } from './audit-event.ts';

const context = { device: 'Device/d1', at: new Date(0), requestId: 'r1' };
const cases: [string, JsonObject, string][] = [
  ['a replaced tenant key', rewrapAudit(context, 7), '"valueString":"7"'],
  [
    'a restored log',
    restoreAudit(context, { reason: 'disk lost', signers: ['k1', 'k2'], gone: '3 to 5' }),
    '"valueString":"3 to 5"',
  ],
];

describe('the audit event of what the service does by itself', () => {
  for (const [what, event, text] of cases)
    it(`is FHIR, says what was done, and names no user: ${what}`, () => {
      assert.deepEqual(validateFhir(event), []);
      assert.ok(JSON.stringify(event).includes(text));
      assert.ok(!JSON.stringify(event).includes('"requestor":true'));
    });
});
