import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SnpClaims } from '../claims.ts';
import { forgeReport, HW_ID } from '../snp/forge.test.ts';
import { verifySnpReport } from '../snp/verify-snp-report.ts';
import type { SnpPolicy } from './appraisal-policy.ts';
import { appraise } from './appraise.ts';

async function claimsOf(edits: Parameters<typeof forgeReport>[0]): Promise<SnpClaims> {
  const { report, options } = await forgeReport(edits);
  const result = await verifySnpReport(report, options);
  assert.ok(result.ok, JSON.stringify(result));
  // As if AMD's root stood behind it: so each case has one fault only.
  return { ...result.claims, simulated: false };
}

const author = (report: Uint8Array) => {
  report.set([0x01], 0x48);
  report.fill(0xee, 0x110, 0x140);
};
const milan = await claimsOf({ report: author });
const turin = await claimsOf({ product: 'Turin', version: 5 });
const vlek = await claimsOf({ kind: 'vlek' });
const authorless = await claimsOf({ report: (report) => report.fill(0xee, 0x110, 0x140) });
const host = await claimsOf({ report: (report) => report.fill(0xff, 0x30, 0x34) });
const chip = [...HW_ID].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** [what, claims, policy that refuses them, code, policy that takes them] */
type Case = readonly [string, SnpClaims, SnpPolicy, string, SnpPolicy];

const CASES: readonly Case[] = [
  ['a report that the host asked for', host, {}, 'policy.attributes', { vmpls: [0xffff_ffff] }],
  [
    'another AUTHOR_KEY_DIGEST',
    milan,
    { authorKeyDigest: ['00'.repeat(48)] },
    'policy.measurement',
    { authorKeyDigest: ['ee'.repeat(48)] },
  ],
  [
    'an AUTHOR_KEY_DIGEST that nothing was checked against',
    authorless,
    { authorKeyDigest: ['ee'.repeat(48)] },
    'policy.measurement',
    {},
  ],
  [
    'another FAMILY_ID',
    milan,
    { familyId: [] },
    'policy.measurement',
    { familyId: ['00'.repeat(16)] },
  ],
  [
    'another IMAGE_ID',
    milan,
    { imageId: [] },
    'policy.measurement',
    { imageId: ['00'.repeat(16)] },
  ],
  ['a GUEST_SVN too low', milan, { minGuestSvn: 8 }, 'policy.measurement', { minGuestSvn: 7 }],
  [
    'a reported TCB too low',
    milan,
    { tcb: { Milan: { reported: { microcode: 221 } } } },
    'policy.tcb',
    { tcb: { Milan: { reported: { microcode: 220, snp: 24 } } } },
  ],
  [
    'a committed TCB too low',
    milan,
    { tcb: { Milan: { committed: { bootloader: 5 } } } },
    'policy.tcb',
    { tcb: { Milan: { committed: { bootloader: 4 } } } },
  ],
  [
    'a launch TCB too low',
    milan,
    { tcb: { Milan: { launch: { tee: 2 } } } },
    'policy.tcb',
    { tcb: { Milan: { launch: { tee: 1 } } } },
  ],
  [
    'an FMC too low',
    turin,
    { tcb: { Turin: { reported: { fmc: 3 } } } },
    'policy.tcb',
    { tcb: { Turin: { reported: { fmc: 2 } } } },
  ],
  [
    'a level of the FMC asked of a processor that has none',
    milan,
    { tcb: { Milan: { reported: { fmc: 0 } } } },
    'policy.tcb',
    { tcb: { Milan: {} } },
  ],
  ['a product line that is not named', milan, { tcb: { Genoa: {} } }, 'policy.tcb', {}],
  ['older firmware', milan, { minVersion: [1, 56, 0] }, 'policy.tcb', { minVersion: [1, 55, 29] }],
  [
    'an older major version',
    milan,
    { minVersion: [2, 0, 0] },
    'policy.tcb',
    { minVersion: [0, 99, 99] },
  ],
  ['another chip', milan, { chipIds: [] }, 'policy.platform', { chipIds: [chip] }],
  ['a masked chip', vlek, { chipIds: ['00'.repeat(64)] }, 'policy.platform', {}],
  [
    'another provider',
    vlek,
    { cspIds: ['CN=cc-eu-west-1.amazonaws.com'] },
    'policy.platform',
    { cspIds: ['CN=cc-us-east-2.amazonaws.com'] },
  ],
  [
    'a VCEK where a provider was agreed',
    milan,
    { cspIds: ['CN=cc-us-east-2.amazonaws.com'] },
    'policy.platform',
    {},
  ],
  [
    'SMT that was not agreed',
    milan,
    { guestPolicy: { forbidden: 1n << 16n } },
    'policy.attributes',
    { guestPolicy: { required: 1n << 17n, forbidden: 1n << 18n } },
  ],
  [
    'aliases that were not looked for',
    milan,
    { platformInfo: { required: 1n << 4n } },
    'policy.platform',
    { platformInfo: { required: 1n << 5n } },
  ],
  [
    'a mitigation missing at the launch',
    turin,
    { launchMitigations: { required: 0x40n } },
    'policy.tcb',
    { launchMitigations: { required: 0x20n } },
  ],
  [
    'a mitigation missing now',
    turin,
    { currentMitigations: { required: 0x80n } },
    'policy.tcb',
    { currentMitigations: { required: 0x40n } },
  ],
  [
    'mitigations that a report does not speak of',
    milan,
    { currentMitigations: {} },
    'policy.tcb',
    {},
  ],
];

describe('appraise, of SEV-SNP guests', () => {
  for (const [what, claims, refuses, code, takes] of CASES) {
    it(`refuses ${what}, by that check alone`, () => {
      const appraisal = appraise(claims, { snp: refuses });
      assert.equal(appraisal.code, code, JSON.stringify(appraisal.checks));
      assert.equal(appraisal.checks.filter(({ outcome }) => outcome === 'failed').length, 1);
      const accepted = appraise(claims, { snp: { vmpls: [0, claims.vmpl], ...takes } });
      assert.ok(accepted.ok, JSON.stringify(accepted.checks));
    });
  }

  it('finds what a default policy must look at, by the names of the vectors', () => {
    assert.deepEqual(appraise(vlek, {}).findings, ['chip-id-masked']);
    assert.deepEqual(appraise(host, {}).findings, ['vmpl-4294967295']);
    assert.deepEqual(appraise(milan, {}).findings, []);
  });
});
