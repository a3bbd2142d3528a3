import type { Log, SafeText } from '@cloister/service';
import type { TcbStatus } from '@cloister/attestation';

/** The kinds of evidence, as they stand in the paths of Azure Attestation. */
export type AttestKind = 'SgxEnclave' | 'OpenEnclave' | 'Simulated';

/** All that this service ever logs. */
export type Events = {
  readonly started: { readonly roots: 'hardware' | 'simulated'; readonly collateral: number };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
  readonly attested: {
    readonly kind: AttestKind;
    readonly tcb: TcbStatus;
    readonly debug: boolean;
    readonly ms: number;
  };
  readonly refused: { readonly kind: AttestKind; readonly code: SafeText; readonly ms: number };
  readonly failed: { readonly route: SafeText; readonly code: SafeText; readonly where: SafeText };
};

/** The log of this service. */
export type AttestationLog = Log<Events>;
