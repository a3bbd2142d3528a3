import type { SafeText } from '@cloister/service';
import type { RefusalCode } from './refused-error.ts';

/** What the log of this service may say: numbers, codes and random ids, never what was asked. */
export type RecordsEvents = {
  readonly starting: {
    readonly simulated: boolean;
    readonly manifest: SafeText;
    /** Where the hospital's keys come from. */
    readonly keys: 'broker' | 'vault';
  };
  /**
   * The keys come from a vault: the hospital has no heads. Not immutable: whoever administers the
   * vault may change to whom it releases them.
   */
  readonly keys_from_vault: {
    readonly versions: number;
    readonly immutable: boolean;
    readonly heads: false;
  };
  /** Another manifest is in force now. */
  readonly manifest: { readonly serial: number };
  /** What the file holds does not follow from the manifest in force. */
  readonly manifest_refused: { readonly code: SafeText };
  readonly log_opened: { readonly entries: number; readonly ms: number };
  readonly log_restored: { readonly entries: number };
  readonly ready: { readonly port: number };
  readonly request: {
    readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OTHER';
    readonly route: SafeText;
    readonly status: number;
    readonly ms: number;
  };
  readonly refused: { readonly route: SafeText; readonly code: RefusalCode };
  readonly fault: { readonly route: SafeText; readonly code: SafeText; readonly place: SafeText };
  readonly store_tampered: { readonly code: SafeText; readonly position: number };
  readonly storage_failed: { readonly code: SafeText };
  readonly log_replaced: { readonly code: SafeText; readonly place: SafeText };
  /** The broker or the vault gives no secret yet, or did not renew a lease. */
  readonly lease_failed: { readonly secret: SafeText; readonly code: SafeText };
  /** The shared cache was not reached, or held what does not count: one in this process stood in. */
  readonly cache_failed: { readonly code: SafeText };
  /** No head of the own party that still gives time. */
  readonly heads_failed: { readonly code: SafeText };
  /** All keys are under the newest tenant key, and so many older versions are destroyed. */
  readonly tenant_keys_replaced: {
    readonly version: number;
    readonly rewrapped: number;
    readonly destroyed: number;
  };
  readonly rewrap_failed: { readonly code: SafeText };
  readonly token_failed: { readonly code: SafeText };
  readonly job: {
    readonly task: SafeText;
    readonly phase: 'verify-provider' | 'prove-caller' | 'infer' | 'record';
    readonly ok: boolean;
    readonly ms: number;
    readonly code?: SafeText;
    /** Which check failed. */
    readonly check?: SafeText;
  };
  /** Another replica has taken the job over. */
  readonly job_left: { readonly task: SafeText };
  readonly job_ended: {
    readonly task: SafeText;
    readonly status: SafeText;
    readonly code?: SafeText;
  };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
};
