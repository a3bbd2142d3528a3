import type { Log, SafeText } from '@cloister/service';
import type { TcbStatus } from '@cloister/attestation';
import type { AttestKind } from './kinds.ts';
import type { AuditOperation } from './state/state-store.ts';

/** All that this service ever logs. */
export type Events = {
  readonly started: { readonly roots: 'hardware' | 'simulated'; readonly collateral: number };
  /** Options that exist for tests only, and which of them are in force. */
  readonly development: {
    readonly pinned: boolean;
    readonly debugEvidence: boolean;
    readonly openManagement: boolean;
  };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
  readonly attested: {
    readonly kind: AttestKind;
    /** Of an SNP guest there is none. */
    readonly tcb: TcbStatus | 'none';
    readonly debug: boolean;
    readonly ms: number;
  };
  readonly refused: { readonly kind: AttestKind; readonly code: SafeText; readonly ms: number };
  readonly managed: { readonly operation: AuditOperation; readonly code: SafeText };
  readonly keys: { readonly published: number };
  readonly failed: { readonly route: SafeText; readonly code: SafeText; readonly where: SafeText };
};

/** The log of this service. */
export type AttestationLog = Log<Events>;
