import type { Hono } from 'hono';
import { errorCode } from '@cloister/service';
import type { EvidenceClaims } from '@cloister/attestation';
import { checkApiVersion } from '../api-version.ts';
import { attest, type AttestDeps } from '../attest.ts';
import { parseAttestRequest } from '../attest-request.ts';
import {
  AzureError,
  azureErrorAnswer,
  azureErrorResponse,
  responseOf,
  type Answer,
} from '../azure-error.ts';
import type { AttestationLog } from '../events.ts';
import { ATTEST_KINDS, type AttestKind } from '../kinds.ts';

/** Answers one request to attest; throws only what was not foreseen. */
export type AnswerAttest = (
  kind: AttestKind,
  apiVersion: string | null | undefined,
  body: Uint8Array,
) => Promise<Answer>;

/** What is told of attestations besides the log. */
export interface AttestWatch {
  readonly log: AttestationLog;
  /** `issued`, or why not. */
  readonly count: (kind: AttestKind, outcome: string, ms: number) => void;
}

/** `POST /attest/{kind}` (spec/azure-attestation.md 1.2): anonymous, as in the real service. */
export function createAttestAnswer(deps: AttestDeps, { log, count }: AttestWatch): AnswerAttest {
  return async (kind, apiVersion, body) => {
    const started = performance.now();
    const ms = (): number => Math.round((performance.now() - started) * 10) / 10;
    try {
      checkApiVersion(apiVersion);
      const { token, claims } = await attest(kind, parseAttestRequest(body, kind), deps);
      const time = ms();
      log('attested', { kind, tcb: tcbOf(claims), debug: claims.debug, ms: time });
      count(kind, 'issued', time);
      // A token is base64url and dots: nothing in it needs an escape.
      return { status: 200, body: `{"token":"${token}"}` };
    } catch (error) {
      if (!(error instanceof AzureError)) throw error;
      const time = ms();
      log('refused', { kind, code: errorCode({ code: error.reason }), ms: time });
      count(kind, error.code, time);
      return azureErrorAnswer(error);
    }
  };
}

/** The routes of the kinds that are verified, and honest answers for those that are not. */
export function attestRoutes(app: Hono, answer: AnswerAttest): void {
  for (const kind of ATTEST_KINDS)
    app.post(`/attest/${kind}`, async (c) => {
      const body = new Uint8Array(await c.req.arrayBuffer());
      return responseOf(await answer(kind, c.req.query('api-version'), body));
    });
  for (const [kind, why] of Object.entries(UNSUPPORTED))
    app.post(`/attest/${kind}`, (c) => {
      checkApiVersion(c.req.query('api-version'));
      return azureErrorResponse(new AzureError('InvalidOperation', why, 'unsupported_kind'));
    });
}

/** What the real service does with a vTPM's or TPM's own keys, and this one cannot (README). */
const UNSUPPORTED = {
  AzureGuest:
    'This instance does not attest AzureGuest: the token is sealed to a vTPM, in a protocol that is not public; send the SNP report of the guest to SevSnpVm',
  Tpm: 'This instance does not attest Tpm: no endorsement keys of TPMs are configured',
} as const;

function tcbOf(claims: EvidenceClaims) {
  return claims.tee === 'snp' ? 'none' : claims.tcbStatus;
}
