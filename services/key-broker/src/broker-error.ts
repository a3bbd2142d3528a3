import type { Check } from '@cloister/attestation';
import { parseJsonObject } from '@cloister/bytes';
import { problem } from '@cloister/service';

/** Every code of this service with its status: the only place where the two meet. */
const STATUS = {
  malformed: 400,
  nonce_unknown: 401,
  caller_not_proven: 401,
  bearer_refused: 401,
  evidence_refused: 403,
  caller_refused: 403,
  secret_not_for_service: 403,
  counter_not_for_service: 403,
  release_refused: 403,
  possession_not_proven: 403,
  key_not_attested: 403,
  replica_refused: 403,
  statement_refused: 403,
  party_quorum_missing: 403,
  secret_unknown: 404,
  secret_absent: 404,
  version_unknown: 404,
  counter_unknown: 404,
  lease_unknown: 404,
  manifest_absent: 404,
  no_recovery_set: 404,
  counter_conflict: 409,
  counter_not_increasing: 409,
  manifest_refused: 409,
  broker_not_named: 409,
  witness_contradiction: 409,
  already_active: 409,
  replayed: 409,
  not_importable: 409,
  not_generated: 409,
  share_of_another_set: 409,
  share_invalid: 409,
  share_repeated: 409,
  recovery_failed: 409,
  busy: 503,
  manifest_changed: 503,
  uninitialised: 503,
  awaiting_quorum: 503,
  awaiting_witness: 503,
  behind_witness: 503,
  sealed: 503,
  store_unavailable: 503,
  issuer_unavailable: 503,
  store_full: 507,
} as const;

/** Why the broker did not do what it was asked. Stable: callers switch on it. */
export type BrokerCode = keyof typeof STATUS;

/** What else a refusal carries: the checks that were made, a receipt. */
export interface RefusalDetails {
  readonly detail?: string | undefined;
  /** The finer code: of the evidence, the token, the manifest. */
  readonly reason?: string | undefined;
  readonly checks?: readonly Check[] | undefined;
  readonly receipt?: string | undefined;
}

/** Thrown where the broker refuses, or cannot; becomes a problem (RFC 9457). */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: BrokerCode;
  readonly details: RefusalDetails;

  constructor(code: BrokerCode, details: RefusalDetails = {}, options?: ErrorOptions) {
    super(details.reason === undefined ? code : `${code}: ${details.reason}`, options);
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return STATUS[this.code];
  }

  /** The problem document: `detail` and `reason` name rules and structures, never content. */
  async toResponse(): Promise<Response> {
    const { detail, reason, checks, receipt } = this.details;
    const base = problem(this.status, this.code, detail);
    const more = {
      ...(reason === undefined ? {} : { reason }),
      ...(checks === undefined ? {} : { checks }),
      ...(receipt === undefined ? {} : { receipt }),
    };
    if (Object.keys(more).length === 0) return base;
    const body = { ...parseJsonObject(await base.text(), 'problem'), ...more };
    return new Response(JSON.stringify(body), { status: this.status, headers: base.headers });
  }
}
