import type { TrustedManifest, VerifiedPeer } from '@cloister/attestation';
import { explainCode } from '../demo/explain.ts';
import { describeChecks, describePeerChecks } from '../print-checks.ts';
import type { SigningKeyResult } from '../signing-keys.ts';
import type { BrokerWord, Brokers } from './brokers.ts';
import { STAND_ALONE, type UrlVerdict } from './verify-url.ts';

/** What the codes mean that only heads and brokers bring. */
const WORDS: Readonly<Record<string, string>> = {
  heads_missing: 'it names no head of any broker: it may not know that something was revoked',
  own_head_missing: 'no head of the broker that gives the time is known',
  manifest_superseded: 'a newer manifest is in force, and the broker does not show it',
};

/** A verdict in words: every check under the question that it answers, then what came of it. */
export function describeVerdict(
  verdict: UrlVerdict,
  {
    url,
    brokers,
    word,
  }: { url: string; brokers: Brokers | undefined; word?: BrokerWord | undefined },
): string {
  const { ok, code, service, manifest, checks, signingKeys, simulated } = verdict;
  return [
    `${url} as ${service}, by manifest ${manifest.id} (serial ${manifest.manifest.serial})\n`,
    ...(word === undefined ? [] : newsOf(word).map((line) => `${line}\n`)),
    `\n${describePeerChecks(checks)}\n`,
    ...signingKeys.map(describeKey),
    `${describeTime(service, brokers, word)}\n`,
    simulated ? 'SIMULATED hardware: this proves nothing against its host.\n' : '',
    ok ? 'verified\n' : `refused: ${inWords(code)}\n`,
  ].join('');
}

/** What a broker said that is new, a line each. */
export function newsOf({ next, refused, fault }: BrokerWord): readonly string[] {
  return [
    ...(next === undefined ? [] : [`a newer manifest is in force: ${describeManifest(next)}`]),
    ...(refused === undefined
      ? []
      : [`the broker offers a manifest that does not count: ${refused}`]),
    ...(fault === undefined ? [] : [`the broker could not be asked: ${fault}`]),
  ];
}

/** A verdict in one line. */
export function describeBriefly({
  ok,
  code,
  unreachable,
  service,
  manifest,
  claims,
}: UrlVerdict): string {
  const by = `${service} by manifest ${short(manifest.id)} (serial ${manifest.manifest.serial})`;
  if (ok && claims !== undefined) return `verified     ${by}, code ${short(measurementOf(claims))}`;
  return `${unreachable ? 'UNREACHABLE' : 'REFUSED    '}  ${by}: ${inWords(code)}`;
}

/** What identifies the code that ran. */
export function measurementOf(claims: VerifiedPeer['claims']): string {
  if (claims.tee === 'azure-cvm') return measurementOf(claims.hardware);
  if (claims.tee === 'sgx') return claims.mrenclave;
  return claims.tee === 'snp' ? claims.measurement : claims.mrtd;
}

function describeManifest({ id, manifest, signers }: TrustedManifest): string {
  return `serial ${manifest.serial}, ${id}, signed by ${signers.join(', ')} with the keys of the one before`;
}

/** From where the time is, or that nobody was asked, and what that means. */
function describeTime(
  service: string,
  brokers: Brokers | undefined,
  word: BrokerWord | undefined,
): string {
  if (brokers === undefined)
    return 'Heads were not asked for (no --broker): it may run by an agreement that has ended since.';
  const head = word?.head;
  if (head === undefined) return `The broker of ${brokers.party} has given no head that counts.`;
  const age = Math.round(brokers.now().getTime() / 1000 - head.time);
  const when = `${new Date(head.time * 1000).toISOString()}, ${age} s ago`;
  const named = STAND_ALONE.has(service) ? ' This service names none itself.' : '';
  return `Time by the newest head of the broker of ${brokers.party} (${when}).${named}`;
}

/** A key that signs tokens, under the question whether that enclave holds it. */
function describeKey({ ok, kid, checks }: SigningKeyResult): string {
  const answer = ok ? 'yes' : 'NO ';
  return `${answer}  Does that enclave hold the key that signs tokens? (${kid})\n${describeChecks(checks)}\n`;
}

function inWords(code = 'refused'): string {
  const words = WORDS[code] ?? explainCode(code);
  return words === '' ? code : `${code} (${words})`;
}

const short = (digest: string): string => `${digest.slice(0, 16)}…`;
