import { generateKeyPairSync, sign as signData } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  INTEL_ROOT,
  VerificationCache,
  verifySgxQuote,
  verifyTdxQuote,
  type EvidenceCrypto,
  type IntelCollateral,
  type IntelQuoteOptions,
} from '@cloister/attestation';
import { asBytes, encodeHex } from '@cloister/bytes';
import * as peer from '@phala/dcap-qvl';
import { parseVectors } from '../../apps/cli/src/evidence-vectors.ts';
import { shared, sharedMissing } from '../shared.ts';
import type { Report } from './figure.ts';
import { measure, type Task } from './measure.ts';
import { importP256, NODE_CRYPTO, verifyP256 } from './node-evidence-crypto.ts';
import { runSnp } from './snp.ts';

/** Genuine quotes with genuine collateral that the peer accepts too. */
const SUBJECTS = [
  { tee: 'sgx', label: 'SGX v3', prefix: 'sgx3-', verify: verifySgxQuote },
  { tee: 'tdx', label: 'TDX v4', prefix: 'tdx4-', verify: verifyTdxQuote },
] as const;

interface Subject {
  readonly quote: Uint8Array<ArrayBuffer>;
  readonly collateral: IntelCollateral;
  readonly at: Date;
}

/** What a cache must forget so that the next quote is by another attestation key. */
function forgetKeys(cache: VerificationCache): void {
  cache.attestationKeys.clear();
}

/** What a cache must forget so that the next quote is by another platform of the same CA. */
function forgetPlatform(cache: VerificationCache): void {
  cache.attestationKeys.clear();
  cache.pckChains.clear();
}

/**
 * Verifications per second on one core: with everything about the platform cached, with a PCK
 * certificate never seen before, and with an attestation key seen before; against the JavaScript
 * peer, and against the signatures that no verifier can avoid.
 */
export async function run(report: Report): Promise<void> {
  if (sharedMissing !== false) {
    process.stderr.write(`evidence: ${sharedMissing}\n`);
    return;
  }
  for (const { label, prefix, verify } of SUBJECTS) {
    const subject = findSubject(prefix);
    const base = { collateral: subject.collateral, at: subject.at, anchors: [INTEL_ROOT] };
    const warm = (
      crypto: EvidenceCrypto | undefined,
      forget: (c: VerificationCache) => void,
    ): Task => {
      const cache = new VerificationCache();
      const options: IntelQuoteOptions = { ...base, cache, ...(crypto ? { crypto } : {}) };
      return async () => {
        forget(cache);
        return (await verify(subject.quote, options)).ok;
      };
    };
    const rates = await measure(
      new Map([
        ['floor', createFloor(subject)],
        ['peer', createPeer(subject)],
        ['cached', warm(NODE_CRYPTO, forgetKeys)],
        ['new', warm(NODE_CRYPTO, forgetPlatform)],
        ['key', warm(NODE_CRYPTO, () => undefined)],
        ['web', warm(undefined, forgetKeys)],
      ]),
    );
    const rate = (name: string): number => rates.get(name) ?? Number.NaN;
    const [floor, phala] = [rate('floor'), rate('peer')];
    const unit = 'verifications/s';
    const against = { peer: '@phala/dcap-qvl', floor: '2 P-256 verifications + 1 key import' };
    const compare = (name: string, value: number) => {
      report({ name, value, unit, ratio: value / phala, against: against.peer });
      report({ name, value, unit, ratio: value / floor, against: against.floor });
    };
    report({ name: `${label}: floor, node:crypto`, value: floor, unit });
    report({ name: `${label}: @phala/dcap-qvl`, value: phala, unit });
    compare(`${label}: PCK cached`, rate('cached'));
    compare(`${label}: new PCK`, rate('new'));
    compare(`${label}: attestation key cached`, rate('key'));
    compare(`${label}: PCK cached, WebCrypto`, rate('web'));
  }
  await runSnp(report);
}

function findSubject(prefix: string): Subject {
  const manifest = shared('vectors/EVIDENCE-MANIFEST.json');
  for (const { id, files, at, expected } of parseVectors(readFileSync(manifest, 'utf8'))) {
    const usable =
      id.startsWith(prefix) &&
      expected['verdict'] === 'accept' &&
      JSON.stringify(expected['policyFindings']) === '[]';
    if (!usable || at === undefined) continue;
    const bytes = (name: string) =>
      asBytes(readFileSync(join(dirname(manifest), files.get(name) ?? '')));
    const text = (name: string) => new TextDecoder().decode(bytes(name));
    const collateral = {
      tcbInfo: text('tcbInfo'),
      tcbInfoChain: text('tcbInfoChain'),
      qeIdentity: text('qeIdentity'),
      qeIdentityChain: text('qeIdentityChain'),
      pckCrl: bytes('pckCrl'),
      rootCaCrl: bytes('rootCaCrl'),
    };
    const subject = { quote: bytes('evidence'), collateral, at };
    if (createPeer(subject)() === true) return subject;
  }
  throw new RangeError(`no vector ${prefix}* that the peer accepts`);
}

/** Two verifications and one import, over data of this quote's sizes. */
function createFloor({ quote }: Subject): Task {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-64);
  const pck = importP256(point);
  const report = quote.subarray(0, 384);
  const signed = quote.subarray(0, quote[0] === 3 ? 432 : 632);
  const sign = (data: Uint8Array) =>
    signData('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const [reportSignature, quoteSignature] = [sign(report), sign(signed)];
  return () => {
    const key = importP256(point);
    return (
      pck !== undefined &&
      key !== undefined &&
      verifyP256(pck, reportSignature, report) &&
      verifyP256(key, quoteSignature, signed)
    );
  };
}

/** An envelope in the peer's form: body and signature apart. */
function splitEnvelope(text: string, member: string): { body: string; signature: string } {
  const signature = /"signature":"([0-9a-f]+)"/.exec(text)?.[1] ?? '';
  const body = text.slice(`{"${member}":`.length, text.lastIndexOf(',"signature"'));
  return { body, signature };
}

function createPeer({ quote, collateral, at }: Subject): Task {
  const tcb = splitEnvelope(collateral.tcbInfo, 'tcbInfo');
  const qe = splitEnvelope(collateral.qeIdentity, 'enclaveIdentity');
  const input = {
    pck_crl_issuer_chain: '', // it verifies no CRL, so it needs none
    root_ca_crl: encodeHex(collateral.rootCaCrl),
    pck_crl: encodeHex(collateral.pckCrl),
    tcb_info_issuer_chain: collateral.tcbInfoChain,
    tcb_info: tcb.body,
    tcb_info_signature: tcb.signature,
    qe_identity_issuer_chain: collateral.qeIdentityChain,
    qe_identity: qe.body,
    qe_identity_signature: qe.signature,
  };
  const raw = Buffer.from(quote);
  return () => {
    try {
      return peer.verify(raw, input, at.getTime() / 1000).status !== 'Revoked';
    } catch {
      return false; // it says no by throwing
    }
  };
}
