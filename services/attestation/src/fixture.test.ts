import { readFileSync } from 'node:fs';
import {
  createSimulatedPlatform,
  intelEntry,
  platformCollateral,
  platformRootDigest,
  VerificationCache,
  type Appraisal,
  type IntelCollateral,
} from '@cloister/attestation';
import { decodeUtf8, encodeBase64url, type Bytes } from '@cloister/bytes';
import { createLog } from '@cloister/service';
import { shared } from '../../../tests/shared.ts';
import { createApp, type AppDeps } from './app.ts';
import { createCollateralStore, type CollateralStore } from './collateral/collateral-store.ts';
import type { Events } from './events.ts';
import { rootsOf } from './evidence/roots.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { certify } from './keys/signing-certificate.ts';
import { generateSigningKey, importSigningKey } from './keys/signing-key.ts';
import { anybody } from './management/authorize.ts';
import { createPolicies } from './policy/policies.ts';
import { createAttestAnswer } from './routes/attest.ts';
import { openSqliteStateStore } from './state/sqlite-state-store.ts';
import type { StateStore } from './state/state-store.ts';

/** When the collateral of `recordedCollateral` is good. */
export const RECORDED = new Date('2022-05-01T00:00:00Z');
export const BASE_URL = 'https://attestation.example';
export const PORTAL = 'https://portal.example';

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

export function sharedBytes(path: string): Bytes {
  return new Uint8Array(readFileSync(shared(`vectors/${path}`)));
}

function sharedText(file: string): string {
  return decodeUtf8(sharedBytes(`sgx/collateral/${file}`));
}

/** When the collateral of `newerCollateral` is good. */
export const NEWER = new Date(1_749_668_926_000);

/** Intel's real collateral for quotes recorded in 2022. */
export function recordedCollateral(): IntelCollateral {
  return collateralOf('tcb-signing-2018.pem', {
    tcbInfo: 'tcbinfo-00906ed50000-v2-ev12-2022-04-26.json',
    qeIdentity: 'qe-ev12-2022-04-26.json',
    pckCrl: 'crl-processor-2022-04-26-79b0c6.der',
    rootCaCrl: 'crl-root-2022-04-19-ef604c.der',
  });
}

/** Intel's real collateral for quotes of the same processor by later PCK certificates. */
export function newerCollateral(): IntelCollateral {
  return collateralOf('tcb-signing-2025.pem', {
    tcbInfo: 'tcbinfo-00906ed50000-v3-ev17-2025-05-27.json',
    qeIdentity: 'qe-ev17-2025-05-27.json',
    pckCrl: 'crl-processor-2025-05-27-44f02b.der',
    rootCaCrl: 'crl-root-2025-03-20-ad6f3f.der',
  });
}

function collateralOf(
  chain: string,
  files: Readonly<Record<'tcbInfo' | 'qeIdentity' | 'pckCrl' | 'rootCaCrl', string>>,
): IntelCollateral {
  return {
    tcbInfo: sharedText(files.tcbInfo),
    qeIdentity: sharedText(files.qeIdentity),
    tcbInfoChain: sharedText(chain),
    qeIdentityChain: sharedText(chain),
    pckCrl: sharedBytes(`sgx/collateral/${files.pckCrl}`),
    rootCaCrl: sharedBytes(`sgx/collateral/${files.rootCaCrl}`),
  };
}

const alg = 'RS256';
const pkcs8 = await generateSigningKey(alg);
export const key = await importSigningKey(alg, pkcs8);

/** A ring of the one key, which is dear to make: every test has the same. */
export async function makeRing(baseUrl: string, at: Date): Promise<KeyRing> {
  const published = { ...key, certificate: await certify(key, { baseUrl, at }), from: 0 };
  const only = Promise.resolve(published);
  return {
    current: () => published,
    published: () => [published],
    rotate: () => only,
    reload: () => Promise.resolve(),
  };
}

/** What the appraisal of the recorded quotes' time would have said: they are old, some debug. */
const permissive = (): Appraisal => ({ ok: true, checks: [], findings: [] });

/** A collateral store with these, as bundles bring them. */
export const storeOf = (...all: IntelCollateral[]): CollateralStore =>
  createCollateralStore({ entries: all.map((one) => intelEntry(one)) });

/** Dependencies of an app, with what it logs and the state it keeps. */
export async function makeDeps(
  changes: Partial<AppDeps> = {},
): Promise<{ deps: AppDeps; lines: string[]; state: StateStore }> {
  const lines: string[] = [];
  const now = changes.now ?? (() => RECORDED);
  const baseUrl = changes.baseUrl ?? BASE_URL;
  const state = changes.state ?? openSqliteStateStore(undefined);
  const log = createLog<Events>({
    service: 'attestation',
    write: (line) => void lines.push(line),
    now,
  });
  const base = {
    baseUrl,
    keys: await makeRing(baseUrl, now()),
    policies: createPolicies(state),
    roots: rootsOf(undefined),
    collateral: storeOf(),
    appraise: permissive,
    cache: new VerificationCache(),
    verificationTime: now,
    now,
    random,
    state,
    authorize: anybody,
    origins: [PORTAL],
    log,
    countManaged: () => undefined,
    ...changes,
  };
  const answerAttest = createAttestAnswer(base, { log, count: () => undefined });
  return { deps: { answerAttest, ...base }, lines, state };
}

/** A simulated platform, and an app that verifies its quotes. */
export async function makeSimulated(changes: Partial<AppDeps> = {}) {
  const at = new Date('2026-01-02T03:04:05Z');
  const platform = await createSimulatedPlatform({ at, random });
  const made = await makeDeps({
    now: () => at,
    roots: rootsOf({ roots: { simulated: [await platformRootDigest(platform)] } }),
    collateral: storeOf(platformCollateral(platform)),
    ...changes,
  });
  return { platform, at, app: createApp(made.deps), ...made };
}

/** A body in base64url, as the real clients send it. */
export const b64 = (bytes: Uint8Array): string => encodeBase64url(bytes);

/** A POST of JSON, as `app.request` takes it. */
export function post(body: unknown): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}
