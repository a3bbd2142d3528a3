import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  INTEL_ROOT,
  VerificationCache,
  verifySgxQuote,
  verifyTdxQuote,
  type EvidenceCrypto,
  type IntelQuoteOptions,
} from '@cloister/attestation';
import { asBytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { parseVectors } from '../../apps/cli/src/evidence-vectors.ts';
import { shared, sharedMissing } from '../shared.ts';
import { createDcapQvl } from './dcap-qvl.ts';
import { reportMemory } from './evidence-memory.ts';
import type { Report } from './figure.ts';
import type { IntelSubject } from './intel-subject.ts';
import { measure, type Task } from './measure.ts';
import { ecdsa, ecdsaByProvider, floorOf } from './public-key-floor.ts';
import { runSnp } from './snp.ts';

/** Genuine quotes with genuine collateral that the peer accepts too. */
const SUBJECTS = [
  { label: 'SGX v3', prefix: 'sgx3-', verify: verifySgxQuote, signedBytes: 432 },
  { label: 'TDX v4', prefix: 'tdx4-', verify: verifyTdxQuote, signedBytes: 632 },
] as const;
const PEER = '@phala/dcap-qvl';
const UNIT = 'verifications/s';
const QE_REPORT_BYTES = 384;
const PCK_CERTIFICATE_BYTES = 1000;
const IN_FLIGHT = 32;
/** What was seen before, and what no verifier can then avoid. */
const SITUATIONS = [
  ['cached', 'PCK cached', '2 P-256 verifications + 1 key import'],
  ['key', 'attestation key cached', '1 P-256 verification'],
  ['new', 'new PCK', '3 P-256 verifications + 2 key imports'],
] as const;

/** What a cache must forget for the next quote to be the first by its attestation key. */
function forgetKeys(cache: VerificationCache): void {
  cache.attestationKeys.clear();
}

/** What a cache must forget for the next quote to be the first of its platform, under a known CA. */
function forgetPlatform(cache: VerificationCache): void {
  cache.attestationKeys.clear();
  cache.pckChains.clear();
}

/**
 * Verifications per second on one core: with everything about the platform cached, with a PCK
 * certificate never seen before, and with an attestation key seen before; against the JavaScript
 * peer, and each against the public-key operations that no verifier can avoid in its place.
 */
export async function run(report: Report): Promise<void> {
  if (sharedMissing !== false) {
    process.stderr.write(`evidence: ${sharedMissing}\n`);
    return;
  }
  for (const { label, prefix, verify, signedBytes } of SUBJECTS) {
    const subject = findSubject(prefix);
    const createTask = (
      crypto: EvidenceCrypto | undefined,
      forget: (cache: VerificationCache) => void = () => undefined,
      inFlight = 1,
    ): Task => {
      const cache = new VerificationCache();
      const { collateral, at, quote } = subject;
      const base = { collateral, at, anchors: [INTEL_ROOT], cache };
      const options: IntelQuoteOptions = crypto === undefined ? base : { ...base, crypto };
      if (inFlight === 1) {
        return async () => {
          forget(cache);
          return (await verify(quote, options)).ok;
        };
      }
      const all = Array.from({ length: inFlight }, () => quote);
      return async () => {
        forget(cache);
        const results = await Promise.all(all.map((one) => verify(one, options)));
        return results.every(({ ok }) => ok) && inFlight;
      };
    };
    const tasks = {
      cached: createTask(NODE_EVIDENCE_CRYPTO, forgetKeys),
      key: createTask(NODE_EVIDENCE_CRYPTO),
      new: createTask(NODE_EVIDENCE_CRYPTO, forgetPlatform),
    } as const;
    const works = {
      cached: { known: [QE_REPORT_BYTES], fresh: [signedBytes] },
      key: { known: [signedBytes] },
      new: { known: [PCK_CERTIFICATE_BYTES], fresh: [QE_REPORT_BYTES, signedBytes] },
    } as const;
    const { rate, ratio } = await measure(
      new Map(
        SITUATIONS.flatMap(([situation]): [string, Task][] => [
          [`floor ${situation}`, floorOf(...ecdsa('P-256', works[situation]))],
          [situation, tasks[situation]],
          [`provider ${situation}`, floorOf(...ecdsaByProvider('P-256', works[situation]))],
        ]),
      ),
    );
    const unit = UNIT;
    for (const [situation, what, operations] of SITUATIONS) {
      const [name, value] = [`${label}: ${what}`, rate(situation)];
      const floor = rate(`floor ${situation}`);
      report({ name: `${label}: floor of ${what}`, value: floor, unit });
      const toFloor = ratio(situation, `floor ${situation}`);
      report({ name, value, unit, ratio: toFloor, against: `${operations}, node:crypto` });
      const toProvider = ratio(situation, `provider ${situation}`);
      report({ name, value, unit, ratio: toProvider, against: `${operations}, by our provider` });
    }

    const peers = await measure(
      new Map([['peer', createDcapQvl(subject)], ...Object.entries(tasks)]),
    );
    report({ name: `${label}: ${PEER}`, value: peers.rate('peer'), unit });
    for (const [situation, what] of SITUATIONS) {
      const name = `${label}: ${what}`;
      const against = PEER;
      const [value, times] = [peers.rate(situation), peers.ratio(situation, 'peer')];
      report({ name, value, unit, ratio: times, against });
    }

    const web = await measure(
      new Map([
        ['node', tasks.key],
        ['one', createTask(undefined)],
        ['many', createTask(undefined, undefined, IN_FLIGHT)],
      ]),
      'wall',
    );
    const show = (name: string, task: string, to: string, against: string): void =>
      report({ name, value: web.rate(task), unit, ratio: web.ratio(task, to), against });
    const name = `${label}: attestation key cached, WebCrypto`;
    show(name, 'one', 'node', 'node:crypto');
    show(`${name}, ${IN_FLIGHT} at once`, 'many', 'one', 'WebCrypto, one after the other');
  }
  await runSnp(report);
  await reportMemory(report, findSubject('sgx3-'));
}

function findSubject(prefix: string): IntelSubject {
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
    if (createDcapQvl(subject)() === true) return subject;
  }
  throw new RangeError(`no vector ${prefix}* that the peer accepts`);
}
