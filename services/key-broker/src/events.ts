import type { Log, SafeText } from '@cloister/service';
import type { BrokerPhase } from './broker.ts';

/** All that this service ever logs; what was released to whom stands in the audit log. */
export type Events = {
  readonly starting: { readonly simulated: boolean };
  readonly started: { readonly state: BrokerPhase; readonly entries: number };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
  readonly state: { readonly state: BrokerPhase };
  readonly manifest_active: { readonly manifest: SafeText; readonly serial: number };
  readonly manifest_refused: { readonly code: SafeText };
  readonly replica_refused: { readonly code: SafeText };
  readonly failed: { readonly route: SafeText; readonly code: SafeText; readonly where: SafeText };
};

/** The log of this service. */
export type BrokerLog = Log<Events>;
