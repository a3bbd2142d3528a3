import { readFileSync } from 'node:fs';
import {
  createSimulatedPlatform,
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
import { createCollateralStore } from './collateral/collateral-store.ts';
import type { Events } from './events.ts';
import { createDefaultPolicy } from './policy/default-policy.ts';
import { rootsOf } from './roots.ts';
import { certify, generateSigningKey } from './signing/signing-key.ts';

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

const { key, pkcs8 } = await generateSigningKey();
export { key, pkcs8 };

/** What the appraisal of the recorded quotes' time would have said: they are old, some debug. */
const permissive = (): Appraisal => ({ ok: true, checks: [], findings: [] });

/** Dependencies of an app, with what it logs. */
export async function makeDeps(
  changes: Partial<AppDeps> = {},
): Promise<{ deps: AppDeps; lines: string[] }> {
  const lines: string[] = [];
  const now = changes.now ?? (() => RECORDED);
  const baseUrl = changes.baseUrl ?? BASE_URL;
  const deps = {
    baseUrl,
    key,
    certificate: await certify(key, baseUrl, now()),
    policy: await createDefaultPolicy(),
    roots: rootsOf(undefined),
    collateral: createCollateralStore([]),
    appraise: permissive,
    cache: new VerificationCache(),
    now,
    random,
    origins: [PORTAL],
    log: createLog<Events>({
      service: 'attestation',
      write: (line) => void lines.push(line),
      now,
    }),
    ...changes,
  };
  return { deps, lines };
}

/** A simulated platform, and an app that verifies its quotes. */
export async function makeSimulated(changes: Partial<AppDeps> = {}) {
  const at = new Date('2026-01-02T03:04:05Z');
  const platform = await createSimulatedPlatform({ at, random });
  const made = await makeDeps({
    now: () => at,
    roots: rootsOf({ roots: { simulated: [await platformRootDigest(platform)] } }),
    collateral: createCollateralStore([platformCollateral(platform)]),
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
