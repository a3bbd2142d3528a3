import type { Log, SafeText } from '@cloister/service';
import type { ModelRefusal } from './models/model-store.ts';

/** All that this service ever logs: counts, times and codes, never what was inferred or from what. */
export type Events = {
  readonly started: {
    readonly models: number;
    readonly workers: number;
    readonly simulated: boolean;
  };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
  readonly model_refused: { readonly model: number; readonly code: ModelRefusal };
  readonly inferred: { readonly model: number; readonly ms: number };
  readonly refused: { readonly route: SafeText; readonly code: SafeText };
  readonly failed: { readonly route: SafeText; readonly code: SafeText; readonly where: SafeText };
  readonly worker_lost: { readonly code: SafeText };
  /** The broker gives no key yet, or did not renew the lease. */
  readonly lease_failed: { readonly secret: SafeText; readonly code: SafeText };
  /** No head of the own party that still gives time. */
  readonly heads_failed: { readonly code: SafeText };
  /** Another manifest is in force now. */
  readonly manifest: { readonly serial: number };
  /** What the file holds does not follow from the manifest in force. */
  readonly manifest_refused: { readonly code: SafeText };
  readonly token_missing: { readonly code: SafeText };
};

/** The log of this service. */
export type InferenceLog = Log<Events>;
