import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { decodeUtf8, DER, DerReader, encodePem, MalformedError } from '@cloister/bytes';
import {
  parseCertificate,
  parseCrl,
  parsePublicKey,
  type Certificate,
  type Crl,
} from '@cloister/crypto';
import * as peculiar from '@peculiar/x509';
import { sharedMissing } from '../shared.ts';
import { mutate } from '../fuzz/mutate.ts';
import { FuzzRandom } from '../fuzz/random.ts';
import { vectorFiles } from '../fuzz/seeds.ts';

/** Mutations of genuine certificates and CRLs: what we read, others must read alike. */
const TRIES = 6000;
const SEED = 20_261_124;
/** The least of the upper bounds that OpenSSL sets, for countries (RFC 5280, appendix A). */
const LONGEST_NAME = 32;

type Bytes = Uint8Array<ArrayBuffer>;

/** Many changed copies, few of which can still be read. */
function* mutations(seeds: readonly Uint8Array[]): Generator<Bytes> {
  const random = new FuzzRandom(SEED);
  const corpus = seeds.map((seed) => new Uint8Array(seed));
  for (let i = 0; i < TRIES; i++) {
    const context = { corpus, words: [], maxLength: 16_384 };
    // One byte, or whatever the fuzzer would do.
    const seed = random.pick(corpus).slice();
    if (i % 2 === 0) {
      seed[random.below(seed.length)] = random.below(256);
      yield seed;
    } else yield mutate(seed, random, context);
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** Undefined where OpenSSL refuses. As PEM: given DER, node:crypto looks for PEM in it first. */
function openSsl(der: Bytes): X509Certificate | undefined {
  try {
    return new X509Certificate(encodePem('CERTIFICATE', der));
  } catch {
    // It tells malformed ones by throwing, and says so in words only.
    return undefined;
  }
}

/**
 * Whether what is wrong is in a part that we hand on as it is: the key, which is read by who uses it;
 * the parts of names besides the common name, which are compared byte for byte and never shown.
 */
function hasUnreadFault({ spki, issuer, subject }: Certificate): boolean {
  if (attempt(() => parsePublicKey(spki, 'key')) === undefined) return true;
  return !attempt(() => [issuer, subject].every(isPlainName));
}

function isPlainName(name: Uint8Array): boolean {
  const sets = new DerReader(name, 'name').enter(DER.SEQUENCE);
  while (!sets.done) {
    const attributes = sets.enter(DER.SET);
    while (!attributes.done) {
      const attribute = attributes.enter(DER.SEQUENCE);
      attribute.oid();
      const { tag, value } = attribute.expect(attribute.peek() ?? 0);
      if (tag !== DER.UTF8_STRING && tag !== DER.PRINTABLE_STRING) return false;
      decodeUtf8(value);
      if (value.length > LONGEST_NAME) return false;
    }
  }
  return true;
}

function compareCertificate(ours: Certificate, peer: X509Certificate): void {
  assert.equal(BigInt(`0x${ours.serial}`), BigInt(`0x${peer.serialNumber || '0'}`), 'serial');
  assert.equal(+ours.notBefore, Date.parse(peer.validFrom), 'notBefore');
  assert.equal(+ours.notAfter, Date.parse(peer.validTo), 'notAfter');
  // OpenSSL calls it a CA only if no extension is malformed, those too that we do not read.
  if (peer.ca) assert.ok(ours.basicConstraints?.ca, 'CA');
}

describe('certificates that were changed', { skip: sharedMissing }, () => {
  it('that we read, OpenSSL reads alike', (t) => {
    const seeds = vectorFiles('{roots,snp/certs}/*.der', 16);
    let read = 0;
    let refusedThere = 0;
    for (const der of mutations(seeds)) {
      const ours = attempt(() => parseCertificate(der));
      if (ours === undefined) continue;
      const peer = openSsl(ours.der);
      if (peer === undefined) {
        assert.ok(hasUnreadFault(ours), Buffer.from(der).toString('base64'));
        refusedThere += 1;
        continue;
      }
      compareCertificate(ours, peer);
      read += 1;
    }
    t.diagnostic(`${read} of ${TRIES} read by both, ${refusedThere} by us alone`);
    assert.ok(read > 500, `${read} read`);
  });
});

function peculiarCrl(der: Bytes): peculiar.X509Crl | undefined {
  try {
    return new peculiar.X509Crl(der);
  } catch {
    return undefined;
  }
}

function compareCrl(ours: Crl, peer: peculiar.X509Crl): void {
  const theirs = new Set(peer.entries.map(({ serialNumber }) => BigInt(`0x${serialNumber}`)));
  const mine = new Set([...ours.revoked].map((serial) => BigInt(`0x${serial}`)));
  assert.deepEqual(mine, theirs, 'revoked');
  assert.equal(+ours.thisUpdate, +peer.thisUpdate, 'thisUpdate');
  assert.equal(
    ours.nextUpdate && +ours.nextUpdate,
    peer.nextUpdate && +peer.nextUpdate,
    'nextUpdate',
  );
}

describe('CRLs that were changed', { skip: sharedMissing }, () => {
  it('that we read, @peculiar/x509 reads alike', (t) => {
    const seeds = vectorFiles('{sgx,synthetic}/collateral/crl-*.der', 8, 4096);
    let read = 0;
    for (const der of mutations(seeds)) {
      const ours = attempt(() => parseCrl(der));
      if (ours === undefined) continue;
      const peer = peculiarCrl(ours.der);
      if (peer === undefined) continue;
      compareCrl(ours, peer);
      read += 1;
    }
    t.diagnostic(`${read} of ${TRIES} read by both`);
    assert.ok(read > 500, `${read} read`);
  });
});
