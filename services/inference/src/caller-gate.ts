import {
  verifyCaller,
  type HeadJudge,
  type VerifiedCaller,
  type Verification,
} from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import { verifyCall } from '@cloister/channel';
import type { Agreement } from '@cloister/client';
import type { Jwk } from '@cloister/crypto';
import { InferenceError } from './inference-error.ts';

/** The one service that may ask for inference. */
const CALLER = 'records';
/** Keys of issuers are fetched again after so long, when a token does not verify. */
const REFETCH_MS = 10_000;

/** Decides who may call: a token that the manifest admits, and a signature by the key in it. */
export type CallerGate = (
  request: Request,
  binding: Bytes,
) => Promise<Verification<VerifiedCaller>>;

/** Makes the gate of design 5. Where the issuer's keys cannot be had, nobody comes in. */
export function createCallerGate(options: {
  /** The manifest in force, and the one before it while its callers are bridged. */
  readonly agreement: () => Agreement;
  /** The issuers' published keys, from anywhere: the manifest pins them by thumbprint. */
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  /** Whether the heads that the token names are recent. */
  readonly judgeHeads: HeadJudge;
  readonly now: () => Date;
}): CallerGate {
  const { agreement, fetchIssuerKeys, judgeHeads, now } = options;
  let kept: { readonly keys: readonly Jwk[]; readonly at: number } | undefined;
  let pending: Promise<readonly Jwk[]> | undefined;

  const fetchKeys = (): Promise<readonly Jwk[]> => {
    pending ??= fetchIssuerKeys()
      .then((keys) => {
        kept = { keys, at: now().getTime() };
        return keys;
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };

  const verifyToken = async (token: string): Promise<Verification<VerifiedCaller>> => {
    const verify = (issuerKeys: readonly Jwk[]): Promise<Verification<VerifiedCaller>> => {
      const { trust: manifest, bridge } = agreement();
      const trust = { manifest, bridge, service: CALLER, issuerKeys, judgeHeads, at: now() };
      return verifyCaller(token, trust);
    };
    try {
      if (kept === undefined) return await verify(await fetchKeys());
      const result = await verify(kept.keys);
      // The issuer may have changed its key since.
      if (result.ok || now().getTime() - kept.at < REFETCH_MS) return result;
      return await verify(await fetchKeys());
    } catch (cause) {
      throw new InferenceError('issuer_unavailable', 'the issuer of tokens cannot be reached', {
        cause,
      });
    }
  };

  return (request, binding) => verifyCall(request, { binding, verifyToken });
}
