import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  INTEL_ROOT,
  VerificationCache,
  verifySgxQuote,
  verifyTdxQuote,
  type IntelCollateral,
} from '@cloister/attestation';
import { asBytes, encodeHex, sliceJsonMember } from '@cloister/bytes';
import * as peer from '@phala/dcap-qvl';
import {
  parseVectors,
  readBeside,
  type EvidenceVector,
} from '../../apps/cli/src/evidence-vectors.ts';
import { FuzzRandom } from '../fuzz/random.ts';
import { shared, sharedMissing } from '../shared.ts';

const MANIFEST = shared('vectors/EVIDENCE-MANIFEST.json');
const SEED = 20_261_124;
/** The peer takes 5 ms for each. */
const TRIES = 250;
const DIGITS = '0 1 2 3 4 5 6 7 8 9 a b c d e f'.split(' ');

interface Subject {
  readonly id: string;
  readonly tee: string;
  readonly quote: Uint8Array<ArrayBuffer>;
  readonly collateral: IntelCollateral;
  readonly at: Date;
}

interface Verdict {
  readonly status: string;
  readonly advisoryIds: readonly string[];
}

async function subjectOf(vector: EvidenceVector): Promise<Subject> {
  const read = readBeside(MANIFEST, vector);
  const text = async (name: string) => new TextDecoder().decode(await read(name));
  return {
    id: vector.id,
    tee: vector.tee,
    quote: await read('evidence'),
    at: vector.at ?? new Date(Number.NaN),
    collateral: {
      tcbInfo: await text('tcbInfo'),
      tcbInfoChain: await text('tcbInfoChain'),
      qeIdentity: await text('qeIdentity'),
      qeIdentityChain: await text('qeIdentityChain'),
      pckCrl: await read('pckCrl'),
      rootCaCrl: await read('rootCaCrl'),
    },
  };
}

function signatureOf(envelope: string): string {
  return /"signature":"([0-9a-f]+)"/.exec(envelope)?.[1] ?? '';
}

/** The peer's answer; undefined where it refuses, which it does by throwing. */
function askPeer({ quote, collateral, at }: Subject): Verdict | undefined {
  try {
    const { status, advisory_ids: advisoryIds } = peer.verify(
      Buffer.from(quote),
      {
        pck_crl_issuer_chain: '', // it verifies no CRL, so it needs none
        root_ca_crl: encodeHex(collateral.rootCaCrl),
        pck_crl: encodeHex(collateral.pckCrl),
        tcb_info_issuer_chain: collateral.tcbInfoChain,
        tcb_info: sliceJsonMember(collateral.tcbInfo, 'tcbInfo'),
        tcb_info_signature: signatureOf(collateral.tcbInfo),
        qe_identity_issuer_chain: collateral.qeIdentityChain,
        qe_identity: sliceJsonMember(collateral.qeIdentity, 'enclaveIdentity'),
        qe_identity_signature: signatureOf(collateral.qeIdentity),
      },
      at.getTime() / 1000,
    );
    return { status, advisoryIds: [...new Set(advisoryIds)].toSorted() };
  } catch {
    return undefined;
  }
}

const cache = new VerificationCache();

async function askOurs({ tee, quote, collateral, at }: Subject): Promise<Verdict | undefined> {
  const verify = tee === 'tdx' ? verifyTdxQuote : verifySgxQuote;
  const result = await verify(quote, { collateral, at, anchors: [INTEL_ROOT], cache });
  if (!result.ok) return undefined;
  return { status: result.claims.tcbStatus, advisoryIds: result.claims.advisoryIds };
}

/** Genuine combinations on which the peer, as the reference, comes to a verdict. */
async function agreed(): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const vector of parseVectors(readFileSync(MANIFEST, 'utf8'))) {
    const { kind, expected, files } = vector;
    if (kind !== 'quote' || expected['verdict'] !== 'accept' || files.has('pckChain')) continue;
    if (files.get('trustAnchor')?.includes('intel') !== true) continue;
    const subject = await subjectOf(vector);
    // Where it differs from the reference is known (spec/evidence.md 14).
    const { tcbStatus: status, advisoryIds } = expected;
    if (isDeepStrictEqual(askPeer(subject), { status, advisoryIds })) subjects.push(subject);
  }
  return subjects;
}

describe('against @phala/dcap-qvl, where it is right', { skip: sharedMissing }, () => {
  it('status and advisories of genuine quotes are the same', async (t) => {
    const subjects = await agreed();
    for (const subject of subjects) {
      assert.deepEqual(await askOurs(subject), askPeer(subject), subject.id);
    }
    t.diagnostic(`${subjects.length} quotes`);
    assert.ok(subjects.length >= 25, `${subjects.length} quotes`);
  });

  it('a quote with one byte changed is accepted by both, or by neither', async (t) => {
    const random = new FuzzRandom(SEED);
    const subjects = await agreed();
    let accepted = 0;
    for (let i = 0; i < TRIES; i++) {
      const subject = random.pick(subjects);
      const quote = subject.quote.slice();
      const at = random.below(quote.length);
      quote[at] = (quote[at] ?? 0) ^ (1 << random.below(8));
      const changed = { ...subject, quote: asBytes(quote) };
      const [ours, theirs] = [await askOurs(changed), askPeer(changed)];
      // Of the root's own certificate, which no verdict is built on, only we read all.
      const inRoot = at > Buffer.from(subject.quote).lastIndexOf('-----BEGIN CERTIFICATE');
      if (ours !== undefined || !inRoot)
        assert.deepEqual(ours, theirs, `${subject.id}, byte ${at}`);
      if (ours !== undefined) accepted += 1;
    }
    // Bytes behind the signature data are covered by nothing.
    t.diagnostic(`${accepted} of ${TRIES} accepted by both`);
  });

  it('collateral with one byte changed is refused by both', async () => {
    const random = new FuzzRandom(SEED);
    const subjects = await agreed();
    for (let i = 0; i < TRIES; i++) {
      const subject = random.pick(subjects);
      const name = random.pick(['tcbInfo', 'qeIdentity'] as const);
      const text = subject.collateral[name];
      const at = random.below(text.length);
      // Another digit, not the same one in another case: the signature is hex.
      const digit = random.pick(DIGITS.filter((one) => one !== text[at]?.toLowerCase()));
      const changed = text.slice(0, at) + digit + text.slice(at + 1);
      const collateral = { ...subject.collateral, [name]: changed };
      const both = [await askOurs({ ...subject, collateral }), askPeer({ ...subject, collateral })];
      assert.deepEqual(both, [undefined, undefined], `${subject.id}: ${name}, character ${at}`);
    }
  });
});
