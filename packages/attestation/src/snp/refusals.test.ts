import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { basicConstraintsExtension, keyUsageExtension } from '@cloister/crypto';
import {
  askKey,
  CPUIDS,
  derInteger,
  derText,
  forgeAmdCrl,
  forgeReport,
  HW_ID,
  later,
  nameOf,
  spkiOf,
  strangerCa,
  strangerVek,
  type SnpEdits,
} from './forge.test.ts';
import { verifySnpReport } from './verify-snp-report.ts';

const edit = (at: number, ...bytes: number[]): Pick<SnpEdits, 'report'> => ({
  report: (report) => report.set(bytes, at),
});
const verify = async (edits: SnpEdits = {}) => {
  const { report, options } = await forgeReport(edits);
  return verifySnpReport(report, options);
};

/** [what alone is wrong, the code, how] */
type Case = readonly [what: string, code: string, edits: SnpEdits | (() => Promise<SnpEdits>)];

const CASES: readonly Case[] = [
  ['version 1', 'snp.format', edit(0, 1)],
  ['version 6', 'snp.format', edit(0, 6)],
  ['another signature algorithm', 'snp.format', edit(0x34, 2)],
  ['VMPL 4', 'snp.format', edit(0x30, 4)],
  ['a reserved flag', 'snp.format', edit(0x48, 0x20)],
  ['a reserved byte behind the flags', 'snp.format', edit(0x4c, 1)],
  ['a reserved byte behind CPUID', 'snp.format', edit(0x18b, 1)],
  ['a reserved byte behind the version', 'snp.format', edit(0x1eb, 1)],
  ['a reserved byte behind the committed version', 'snp.format', edit(0x1ef, 1)],
  ['a mitigation vector before version 5', 'snp.format', edit(0x1f8, 1)],
  ['a reserved byte at the end of the signed region', 'snp.format', edit(0x29f, 1)],
  [
    'CPUID in version 2',
    'snp.format',
    { version: 2, report: (report) => report.set([0x19, 1, 1], 0x188) },
  ],
  ['guest policy without bit 17', 'snp.format', edit(0x0a, 1)],
  ['guest policy bits that nobody knows', 'snp.format', edit(0x0f, 0x80)],
  ['no signing key', 'snp.signer', edit(0x48, 7 << 2)],
  ['a VLEK named beside a VCEK', 'snp.signer', edit(0x48, 1 << 2)],
  ['a VCEK named beside a VLEK', 'snp.signer', { kind: 'vlek', ...edit(0x48, 0) }],
  ['MASK_CHIP_KEY', 'snp.signer', edit(0x48, 0x02)],
  ['a certificate that is no VEK', 'snp.signer', { vek: { subject: nameOf('SEV-Other') } }],
  [
    'a processor of no known line',
    'snp.product',
    { cpuid: { family: 0x17, model: 1, stepping: 0 } },
  ],
  ['Venice', 'snp.product', { product: 'Turin', cpuid: { ...CPUIDS.Turin, model: 0x50 } }],
  ['a Genoa processor under Milan keys', 'snp.product', { cpuid: CPUIDS.Genoa }],
  ['productName of another line', 'snp.product', { extensions: { '2': derText('Genoa-B0') } }],
  [
    'productName that only begins like one',
    'snp.product',
    { extensions: { '2': derText('Milano') } },
  ],
  ['a VEK in the name of another line', 'snp.product', { vek: { issuer: nameOf('SEV-Genoa') } }],
  ['a VCEK in the name of the ASVK', 'snp.product', { vek: { issuer: nameOf('SEV-VLEK-Milan') } }],
  ['a VEK signed by a stranger', 'snp.chain', { vek: { signer: strangerCa.privateKey } }],
  ['an ASK signed by a stranger', 'snp.chain', { ask: { signer: strangerCa.privateKey } }],
  ['an ARK signed by a stranger', 'snp.chain', { ark: { signer: strangerCa.privateKey } }],
  [
    'an ARK with another key',
    'snp.chain',
    async () => ({
      ask: { signer: strangerCa.privateKey },
      ark: { signer: strangerCa.privateKey, publicKey: await spkiOf(strangerCa) },
    }),
  ],
  ['an ASK of another line', 'snp.chain', { ask: { subject: nameOf('SEV-Genoa') } }],
  ['an ASK in the name of another ARK', 'snp.chain', { ask: { issuer: nameOf('ARK-Genoa') } }],
  [
    'an ASK and ARK of another line, the VEK issuer kept',
    'snp.chain',
    {
      ask: { issuer: nameOf('ARK-Genoa') },
      ark: { subject: nameOf('ARK-Genoa'), issuer: nameOf('ARK-Genoa') },
    },
  ],
  [
    'an ASK that is no CA',
    'snp.chain',
    { ask: { extensions: [keyUsageExtension('keyCertSign')] } },
  ],
  [
    'an ASK that may not sign certificates',
    'snp.chain',
    {
      ask: {
        extensions: [basicConstraintsExtension({ ca: true }), keyUsageExtension('cRLSign')],
      },
    },
  ],
  [
    'a VEK that is a CA',
    'snp.chain',
    { moreExtensions: [basicConstraintsExtension({ ca: true })] },
  ],
  [
    'a VEK with a critical extension that nobody knows',
    'snp.chain',
    { moreExtensions: [{ oid: '1.2.3.4', critical: true, value: derInteger(1) }] },
  ],
  ['no ASK', 'snp.chain', { options: { ask: undefined } }],
  ['a VEK of RSA', 'snp.chain', async () => ({ vek: { publicKey: await spkiOf(strangerCa) } })],
  ['a VEK that has expired', 'snp.chain', { vek: { notAfter: later(-1) } }],
  ['a VEK from the future', 'snp.chain', { vek: { notBefore: later(1) } }],
  ['an ASK that has expired', 'snp.chain', { ask: { notAfter: later(-1) } }],
  ['an ARK that has expired', 'snp.chain', { ark: { notAfter: later(-1) } }],
  ['no time', 'snp.chain', { options: { at: new Date(Number.NaN) } }],
  ['no structVersion', 'snp.chain', { extensions: { '1': undefined } }],
  ['a level of the VEK that is missing', 'snp.chain', { extensions: { '3.8': undefined } }],
  ['a reserved level of the VEK', 'snp.chain', { extensions: { '3.5': derInteger(1) } }],
  ['a VCEK of no chip', 'snp.chain', { extensions: { '4': undefined } }],
  ['a VCEK of a provider', 'snp.chain', { extensions: { '5': derText('CN=x') } }],
  ['a VLEK of a chip', 'snp.chain', { kind: 'vlek', extensions: { '4': HW_ID } }],
  ['a VLEK of no provider', 'snp.chain', { kind: 'vlek', extensions: { '5': undefined } }],
  ['a Milan VCEK with a level of the FMC', 'snp.chain', { extensions: { '3.9': derInteger(2) } }],
  ['a hwID of another length', 'snp.chain', { extensions: { '4': HW_ID.slice(0, 63) } }],
  ['a report signed by a stranger', 'snp.signature', { reportSigner: strangerVek.privateKey }],
  ['no signature', 'snp.signature', { afterwards: (report) => report.fill(0, 0x2a0) }],
  ['r of zero', 'snp.signature', { afterwards: (report) => report.fill(0, 0x2a0, 0x2d0) }],
  ['another boot loader', 'snp.tcb', { extensions: { '3.1': derInteger(3) } }],
  ['another TEE', 'snp.tcb', { extensions: { '3.2': derInteger(0) } }],
  ['another SNP firmware', 'snp.tcb', { extensions: { '3.3': derInteger(23) } }],
  ['another microcode', 'snp.tcb', { extensions: { '3.8': derInteger(219) } }],
  ['another FMC', 'snp.tcb', { product: 'Turin', extensions: { '3.9': derInteger(1) } }],
  [
    'a reserved byte in a TCB',
    'snp.tcb',
    { report: (r) => [0x38, 0x180, 0x1e0, 0x1f0].forEach((at) => r.set([1], at + 2)) },
  ],
  ['another chip', 'snp.chip', edit(0x1df, 0)],
  [
    'a Turin chip with something behind its 8 bytes',
    'snp.chip',
    { product: 'Turin', ...edit(0x1a8, 1) },
  ],
  ['CURRENT_TCB below the reported one', 'snp.tcb', edit(0x38 + 7, 219)],
  ['CURRENT_TCB below the committed one', 'snp.tcb', edit(0x1e0 + 7, 221)],
  ['CURRENT_TCB below that of the launch', 'snp.tcb', edit(0x1f0, 5)],
  ['a committed version above the current one', 'snp.tcb', edit(0x1ec, 30)],
  [
    'a revoked ASK',
    'snp.chain',
    async () => ({ options: { crl: await forgeAmdCrl({ serials: ['010001'] }) } }),
  ],
  [
    'a CRL by a stranger',
    'crl.signature',
    async () => ({ options: { crl: await forgeAmdCrl({ signer: strangerCa.privateKey }) } }),
  ],
  [
    'a CRL by the ASK',
    'crl.signature',
    async () => ({ options: { crl: await forgeAmdCrl({ signer: askKey.privateKey }) } }),
  ],
  [
    'a CRL in another name',
    'crl.issuer',
    async () => ({ options: { crl: await forgeAmdCrl({ issuer: 'ARK-Genoa' }) } }),
  ],
  [
    'a CRL that has expired',
    'crl.expired',
    async () => ({ options: { crl: await forgeAmdCrl({ nextUpdate: later(-1) }) } }),
  ],
  [
    'a CRL from the future',
    'crl.expired',
    async () => ({ options: { crl: await forgeAmdCrl({ thisUpdate: later(1) }) } }),
  ],
  ['garbage as a CRL', 'crl.format', { options: { crl: HW_ID } }],
  [
    'a CRL without the ARK that could verify it',
    'crl.issuer',
    async () => ({ options: { ark: undefined, crl: await forgeAmdCrl() } }),
  ],
  [
    'an ARK that may not sign CRLs, with a CRL',
    'crl.issuer',
    async () => ({
      ark: {
        extensions: [basicConstraintsExtension({ ca: true }), keyUsageExtension('keyCertSign')],
      },
      options: { crl: await forgeAmdCrl() },
    }),
  ],
];

describe('verifySnpReport refuses, by one check alone', () => {
  for (const [what, code, edits] of CASES) {
    it(what, async () => {
      const result = await verify(typeof edits === 'function' ? await edits() : edits);
      assert.ok(!result.ok, 'it was accepted');
      assert.equal(result.code, code, JSON.stringify(result.checks));
      const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
      assert.equal(failed.length, 1);
    });
  }
});
