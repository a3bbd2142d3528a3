import { canonicalJson, encodeUtf8 } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import { keyOf } from '../binding/runtime-data.ts';
import { CheckList } from '../check-list.ts';
import { admitToken } from '../manifest/admit.ts';
import type { Verification } from '../verification.ts';
import {
  checkManifest,
  checkRecentHeads,
  checkReportData,
  checkRuntimeData,
  type HeadJudge,
  type AgreementTrust,
} from './check-binding.ts';
import { checkToken } from './check-token.ts';
import { pinnedIssuers } from './pinned-issuers.ts';
import { markVerified, type VerifiedCaller } from './verified-peer.ts';

/** Whom a service expects to call, and by what it judges. */
export interface CallerTrust extends AgreementTrust {
  /** The caller that is expected. */
  readonly service: string;
  /** Keys of issuers, from anywhere: those count whose thumbprints the manifest lists. */
  readonly issuerKeys: readonly Jwk[];
  /** Whether the heads that the token's runtime data name are recent; unasked where absent. */
  readonly judgeHeads?: HeadJudge | undefined;
}

/** The checks that are always listed, reached or not. */
const CHECKS = [
  'hardware: token claims',
  'hardware: token kind',
  'hardware: token policy',
  'code: service named in the manifest',
  'channel: token carries runtime data',
  'channel: report data',
  'channel: runtime data',
  'channel: service',
  'code: runs by this manifest',
] as const;

/**
 * Verifies a caller by its token alone (design 2.1, rule 5). The token is public: the caller has
 * shown nothing yet, until a signature with the key `sig` proves that the call is its own.
 */
export async function verifyCaller(
  token: string,
  trust: CallerTrust,
): Promise<Verification<VerifiedCaller>> {
  const { manifest, service, at } = trust;
  const list = new CheckList();
  const refuse = (): Verification<never> => {
    list.skipRest(CHECKS);
    return list.refusal();
  };
  const issuers = await pinnedIssuers(manifest.manifest, trust.issuerKeys);
  const verified = await checkToken(list, token, issuers, at);
  if (verified === undefined) return refuse();
  const { claims, payload, expires } = verified;
  const appraisal = admitToken(manifest.manifest, service, claims);
  list.include(appraisal.checks);
  const { runtime } = claims;
  const carried = runtime !== undefined;
  list.expect('channel: token carries runtime data', carried, 'runtime_data_missing');
  if (runtime === undefined) return refuse();
  // Runtime data are canonical: the token's copy gives back the very bytes that were hashed.
  const bytes = encodeUtf8(canonicalJson(runtime));
  await checkReportData(list, bytes, claims.reportData);
  const data = checkRuntimeData(list, bytes, service);
  if (data === undefined) return refuse();
  const manifestId = checkManifest(list, data, trust);
  await checkRecentHeads(list, data, trust.judgeHeads);
  if (!appraisal.ok) return { ok: false, code: appraisal.code ?? 'refused', checks: list.checks };
  if (list.code !== undefined || manifestId === undefined) return refuse();
  return list.result(
    markVerified({
      service,
      manifestId,
      simulated: claims.simulated,
      sig: keyOf(data, 'sig'),
      enc: keyOf(data, 'enc'),
      tokenClaims: payload,
      exp: Math.floor(expires.getTime() / 1000),
    }),
  );
}
