/** One test per defect that peers have (spec/evidence.md 14): nothing but it would let these pass. */
/* oxlint-disable unicorn/consistent-function-scoping -- what a test spoils is read beside what it expects */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, decodeHex, encodeUtf8 } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { appraise } from '../appraisal/appraise.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import {
  AT,
  certificates,
  chainOf,
  components,
  forge,
  forgeCertificate,
  forgeCrl,
  isvLevel,
  judge,
  sgxClaims,
  tdxClaims,
  levelsOf,
  moduleOf,
  platform,
  signDocument,
  stranger,
  tcbOf,
  verify,
  type Edits,
  type Kind,
} from './forge.test.ts';

const KINDS: readonly Kind[] = ['sgx3', 'sgx4', 'sgx5', 'tdx4', 'tdx5-10', 'tdx5-15', 'tdx5-15x'];
const serialOf = (role: keyof typeof certificates) => parseCertificate(certificates[role]).serial;
const DAY = 86_400_000;
const later = (days: number) => new Date(AT.getTime() + days * DAY);

describe('evidence that nothing is wrong with', () => {
  for (const kind of KINDS) {
    it(`verifies as ${kind}, with every check listed as passed`, async () => {
      const result = await verify(kind, await forge(kind));
      assert.ok(result.ok, JSON.stringify(result));
      assert.ok(result.checks.length >= 22);
      assert.ok(result.checks.every(({ outcome }) => outcome === 'passed'));
    });
  }

  it('lists the checks before a refusal as passed, those after it as skipped', async () => {
    const result = await verify('sgx3', await forge('sgx3', { qeSigner: stranger.privateKey }));
    assert.ok(!result.ok);
    const at = result.checks.findIndex(({ outcome }) => outcome === 'failed');
    assert.equal(result.checks[at]?.code, 'qereport.signature');
    assert.ok(result.checks.slice(0, at).every(({ outcome }) => outcome === 'passed'));
    assert.ok(result.checks.slice(at + 1).every(({ outcome }) => outcome === 'skipped'));
  });
});

describe('1: CRLs count only as their CA signed them', () => {
  const revoked = [serialOf('pck')];
  const cases: Record<string, [Promise<Uint8Array<ArrayBuffer>>, string]> = {
    'a true list that names the PCK certificate': [forgeCrl({ serials: revoked }), 'pck.revoked'],
    'an empty list signed by a stranger': [
      forgeCrl({ signer: stranger.privateKey }),
      'crl.signature',
    ],
    'an empty list of another CA': [forgeCrl({ by: 'root' }), 'crl.issuer'],
    'a list in the name of the PCK CA by another CA': [
      forgeCrl({ by: 'root', name: 'platformCa' }),
      'crl.signature',
    ],
    garbage: [Promise.resolve(encodeUtf8('no CRL')), 'crl.format'],
    'nothing at all': [Promise.resolve(new Uint8Array(0)), 'crl.format'],
    'a list that has expired': [forgeCrl({ nextUpdate: later(-1) }), 'crl.expired'],
    'a list from the future': [forgeCrl({ thisUpdate: later(1) }), 'crl.expired'],
    'a list that covers a part only (critical issuingDistributionPoint)': [
      forgeCrl({
        extensions: [{ oid: '2.5.29.28', critical: true, value: decodeHex('30038101ff') }],
      }),
      'crl.format',
    ],
  };
  for (const [name, [crl, code]] of Object.entries(cases)) {
    it(`${name}: ${code}`, async () => {
      assert.equal(await judge('sgx3', { collateral: { pckCrl: await crl } }), code);
    });
  }

  it('a flipped signature of the root CRL: crl.signature', async () => {
    const rootCaCrl = platform.collateral.rootCaCrl.slice();
    rootCaCrl[rootCaCrl.length - 1] = (rootCaCrl.at(-1) ?? 0) ^ 1;
    assert.equal(await judge('sgx3', { collateral: { rootCaCrl } }), 'crl.signature');
  });
  it('a root CRL outside its dates: crl.expired', async () => {
    for (const dates of [{ thisUpdate: later(1) }, { nextUpdate: later(-1) }]) {
      const rootCaCrl = await forgeCrl({ by: 'root', ...dates });
      assert.equal(await judge('sgx3', { collateral: { rootCaCrl } }), 'crl.expired');
    }
  });
  it('a root CRL that names the PCK CA: pckca.revoked', async () => {
    const rootCaCrl = await forgeCrl({ by: 'root', serials: [serialOf('platformCa')] });
    assert.equal(await judge('sgx3', { collateral: { rootCaCrl } }), 'pckca.revoked');
  });
  it('a root CRL that names the TCB signer: tcbsigner.revoked', async () => {
    const rootCaCrl = await forgeCrl({ by: 'root', serials: [serialOf('tcbSigning')] });
    assert.equal(await judge('sgx3', { collateral: { rootCaCrl } }), 'tcbsigner.revoked');
  });
});

describe('2: the QE is the one of a signed QE identity', () => {
  it('tampered after signing: qeid.signature', async () => {
    const qeIdentity = platform.collateral.qeIdentity.replace('"isvprodid":1', '"isvprodid":1 ');
    assert.notEqual(qeIdentity, platform.collateral.qeIdentity);
    assert.equal(await judge('sgx3', { collateral: { qeIdentity } }), 'qeid.signature');
  });
  it('signed by a stranger: qeid.signature', async () => {
    const document = { id: 'QE' };
    const qeIdentity = await signDocument('enclaveIdentity', document, stranger.privateKey);
    assert.equal(await judge('sgx3', { collateral: { qeIdentity } }), 'qeid.signature');
  });
  it('of the other TEE: qeid.mismatch', async () => {
    const edits: Edits = { qeIdentity: (document) => Object.assign(document, { id: 'TD_QE' }) };
    assert.equal(await judge('sgx3', edits), 'qeid.mismatch');
    const back: Edits = { qeIdentity: (document) => Object.assign(document, { id: 'QE' }) };
    assert.equal(await judge('tdx4', back), 'qeid.mismatch');
  });
  const members = {
    MISCSELECT: [16, 1],
    'ATTRIBUTES (debug)': [48, 2],
    MRSIGNER: [128, 1],
    ISVPRODID: [256, 1],
  } as const;
  for (const [name, [offset, bit]] of Object.entries(members)) {
    it(`another ${name} in the QE report: qeid.mismatch`, async () => {
      const qeReport = (report: Uint8Array) => {
        report[offset] = (report[offset] ?? 0) ^ bit;
      };
      assert.equal(await judge('sgx3', { qeReport }), 'qeid.mismatch');
    });
  }
  it('bits outside the mask are free', async () => {
    const qeReport = (report: Uint8Array) => {
      report[48] = (report[48] ?? 0) ^ 4; // MODE64BIT
      report[56] = 0xff; // XFRM
    };
    assert.equal(await judge('sgx3', { qeReport }), 'ok');
  });
  it('an unknown status in the QE identity refuses the document', async () => {
    const qeIdentity: Edits['qeIdentity'] = (document) =>
      levelsOf(document).push(isvLevel(1, 'Whatever'));
    assert.equal(await judge('sgx3', { qeIdentity }), 'qeid.mismatch');
  });
});

describe('3: the TDX module is one that Intel names', () => {
  for (const [name, offset] of [
    ['MRSIGNERSEAM', 64],
    ['SEAMATTRIBUTES', 112],
  ] as const) {
    it(`${name} not zero: tdxmodule.mismatch`, async () => {
      const body = (report: Uint8Array) => report.fill(1, offset, offset + 1);
      assert.equal(await judge('tdx4', { body }), 'tdxmodule.mismatch');
    });
  }
  it('no identity for its version: tdxmodule.mismatch', async () => {
    const body = (report: Uint8Array) => report.fill(2, 1, 2);
    assert.equal(await judge('tdx4', { body }), 'tdxmodule.mismatch');
    const tcbInfo: Edits['tcbInfo'] = (document) => delete document['tdxModuleIdentities'];
    assert.equal(await judge('tdx4', { tcbInfo }), 'tdxmodule.mismatch');
  });
  it('the signer is that of its version, not of TDX 1.0', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      document['tdxModule'] = moduleOf('11'.repeat(48));
    };
    assert.equal(await judge('tdx4', { tcbInfo }), 'ok');
    const body = (report: Uint8Array) => report.fill(0, 1, 2);
    assert.equal(await judge('tdx4', { tcbInfo, body }), 'tdxmodule.mismatch');
  });
});

const moduleLevels =
  (...levels: Parameters<typeof isvLevel>[]): NonNullable<Edits['tcbInfo']> =>
  (document) => {
    document['tdxModuleIdentities'] = [
      { id: 'TDX_01', ...moduleOf(), tcbLevels: levels.map((level) => isvLevel(...level)) },
    ];
  };

describe('4 to 6: TDX modules', () => {
  it('4: a revoked module is Revoked, not OutOfDate', async () => {
    const forged = await forge('tdx4', { tcbInfo: moduleLevels([5, 'Revoked']) });
    const result = await verify('tdx4', forged);
    assert.ok(!result.ok);
    assert.equal(result.code, 'tcb.revoked');
    assert.equal(result.refused?.tcbStatus, 'Revoked');
  });
  it('5: bytes 0 and 1 of a versioned module are not compared with the platform level', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      tcbOf(levelsOf(document)[0])['tdxtcbcomponents'] = [{ svn: 9 }, { svn: 9 }].concat(
        components(3).slice(2) as { svn: number }[],
      );
    };
    assert.equal((await tdxClaims('tdx4', { tcbInfo })).tcbStatus, 'UpToDate');
  });
  it('5: bytes 0 and 1 of a module without version are', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      for (const level of levelsOf(document)) {
        tcbOf(level)['tdxtcbcomponents'] = [{ svn: 9 }].concat(
          components(0).slice(1) as { svn: number }[],
        );
      }
    };
    const body = (report: Uint8Array) => report.fill(0, 1, 2);
    assert.equal(await judge('tdx4', { tcbInfo, body }), 'tcb.unsupported');
  });
  it('5: a module below all its levels: tcb.unsupported', async () => {
    assert.equal(
      await judge('tdx4', { tcbInfo: moduleLevels([6, 'UpToDate']) }),
      'tcb.unsupported',
    );
  });
  it('6: a module updated since the launch: relaunch is advised', async () => {
    const body = (report: Uint8Array) => report.fill(4, 0, 1);
    const claims = await tdxClaims('tdx5-15', { body });
    assert.equal(claims.tcbStatus, 'TDRelaunchAdvised');
    assert.equal(claims.launchTcbStatus, 'OutOfDate');
    assert.equal(claims.currentTcbStatus, 'UpToDate');
  });
  it('6: a module that runs now and is revoked: tcb.revoked', async () => {
    const body = (report: Uint8Array) => report.fill(2, 584, 585);
    const tcbInfo = moduleLevels([5, 'UpToDate'], [2, 'Revoked']);
    assert.equal(await judge('tdx5-15', { body, tcbInfo }), 'tcb.revoked');
  });
  it('6: a module that runs now and has no level: tcb.unsupported', async () => {
    const body = (report: Uint8Array) => report.fill(0, 584, 585);
    assert.equal(await judge('tdx5-15', { body }), 'tcb.unsupported');
  });
});

describe('13 to 16: forms of quotes', () => {
  for (const length of [0, 64, 1000, 65_535]) {
    it(`13: QE auth data of ${length} bytes`, async () => {
      const qeAuthData = new Uint8Array(length).fill(7);
      for (const kind of ['sgx3', 'tdx4'] as const)
        assert.equal(await judge(kind, { qeAuthData }), 'ok');
    });
  }
  it('14: TCB info version 2', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      document['version'] = 2;
      delete document['id'];
      for (const level of levelsOf(document)) {
        const tcb = tcbOf(level);
        const svns = tcb['sgxtcbcomponents'] as { svn: number }[];
        for (const [i, { svn }] of svns.entries()) {
          tcb[`sgxtcbcomp${String(i + 1).padStart(2, '0')}svn`] = svn;
        }
        delete tcb['sgxtcbcomponents'];
      }
    };
    assert.equal((await sgxClaims({ tcbInfo })).tcbStatus, 'UpToDate');
  });
  it('15: MRSERVICETD is a claim, and refused by policy only', async () => {
    const body = (report: Uint8Array) => report.fill(9, 600, 648);
    const claims = await tdxClaims('tdx5-15', { body });
    const policy = { roots: 'simulated' } as const;
    assert.equal(appraise(claims, policy).code, 'policy.mrservicetd');
    const tdx = { mrservicetd: ['09'.repeat(48)] };
    assert.equal(appraise(claims, { ...policy, tdx }).code, undefined);
  });
  it('15: SEPT_VE_DISABLE off is refused by policy only', async () => {
    const body = (report: Uint8Array) => report.fill(0, 123, 124);
    const claims = await tdxClaims('tdx4', { body });
    assert.equal(appraise(claims, { roots: 'simulated' }).code, 'policy.sept_ve');
  });
  it('15: a body type of the other TEE, or of another size: quote.format', async () => {
    const { quote, options } = await forge('sgx5');
    for (const [offset, value] of [
      [48, 2],
      [48, 5],
      [50, 0x81],
    ] as const) {
      const spoilt = quote.slice();
      spoilt[offset] = value;
      const result = await verifySgxQuote(spoilt, options);
      assert.equal(!result.ok && result.code, 'quote.format');
    }
  });
  it('16: a declared length beyond the buffer, or short of its container: quote.format', async () => {
    const { quote, options } = await forge('sgx3');
    const view = new DataView(quote.buffer);
    const authSize = view.getUint32(432, true);
    const certSizeAt = 436 + 576 + 2 + 32 + 2;
    const certSize = view.getUint32(certSizeAt, true);
    for (const [at, value] of [
      [432, 0xffff_ffff],
      [432, authSize + 1],
      [432, authSize - 1],
      [certSizeAt, 0xffff_ffff],
      [certSizeAt, certSize + 1],
      [certSizeAt, certSize - 1],
    ] as const) {
      const spoilt = quote.slice();
      new DataView(spoilt.buffer).setUint32(at, value, true);
      const result = await verifySgxQuote(spoilt, options);
      assert.equal(!result.ok && result.code, 'quote.format', `${at}: ${value}`);
    }
  });
  it('the QE vendor, key type and version count though they are signed', async () => {
    for (const [offset, value] of [
      [0, 6],
      [2, 3],
      [4, 1],
      [12, 0],
    ] as const) {
      const header = (bytes: Uint8Array) => bytes.fill(value, offset, offset + 1);
      assert.equal(await judge('sgx4', { header }), 'quote.format');
    }
  });
  it('trailing bytes are counted, and refused if asked', async () => {
    const { quote, options } = await forge('sgx3');
    const padded = concatBytes(quote, new Uint8Array(70));
    const result = await verifySgxQuote(padded, options);
    assert.equal(result.ok && result.claims.trailingBytes, 70);
    const strict = await verifySgxQuote(padded, { ...options, refuseTrailingBytes: true });
    assert.equal(!strict.ok && strict.code, 'quote.format');
  });
  it('a quote of the other TEE: quote.format', async () => {
    const { quote, options } = await forge('tdx4');
    const result = await verifySgxQuote(quote, options);
    assert.equal(!result.ok && result.code, 'quote.format');
  });
});

describe('17: debug', () => {
  it('a debug enclave verifies, and is refused by default', async () => {
    const claims = await sgxClaims({ body: (report) => report.fill(0x07, 48, 49) });
    assert.ok(claims.debug);
    const appraisal = appraise(claims, { roots: 'simulated' });
    assert.equal(appraisal.code, 'policy.debug');
    assert.ok(appraisal.findings.includes('debug'));
    assert.ok(appraise(claims, { roots: 'simulated', allowDebug: true }).ok);
  });
  it('a debug TD verifies, and is refused by default', async () => {
    const claims = await tdxClaims('tdx4', { body: (report) => report.fill(1, 120, 121) });
    assert.equal(appraise(claims, { roots: 'simulated' }).code, 'policy.debug');
  });
});

describe("22: the reference library's own gaps", () => {
  const { root, platformCa, pck } = certificates;
  it('a PCK certificate that is not yet valid: pck.expired', async () => {
    const early = await forgeCertificate('pck', { notBefore: later(1) });
    assert.equal(await judge('sgx3', chainOf(early, platformCa, root)), 'pck.expired');
  });
  it('a PCK CA that is not yet valid: pck.expired', async () => {
    const early = await forgeCertificate('platformCa', { notBefore: later(1) });
    assert.equal(await judge('sgx3', chainOf(pck, early, root)), 'pck.expired');
  });
  it('an upper half of the QE report data that is not zero: qereport.data', async () => {
    const qeReport = (report: Uint8Array) => report.fill(1, 383, 384);
    assert.equal(await judge('sgx3', { qeReport }), 'qereport.data');
  });
  it("another encoding of the root, with the same key, changes nothing: the chain's is dropped", async () => {
    const other = await forgeCertificate('root', { notAfter: later(400) });
    assert.equal(await judge('sgx3', chainOf(pck, platformCa, other)), 'ok');
  });
  it('another order of the chain changes nothing', async () => {
    assert.equal(await judge('sgx3', chainOf(pck, root, platformCa)), 'ok');
  });
});
