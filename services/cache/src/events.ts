import type { Log, SafeText } from '@cloister/service';

/** All that this service ever logs: counts and codes, no keys, values or addresses. */
export type Events = {
  readonly started: {
    readonly roles: number;
    readonly serial: number;
    readonly simulated: boolean;
  };
  readonly stopping: { readonly signal: 'SIGTERM' | 'SIGINT' };
  readonly manifest: {
    readonly serial: number;
    readonly roles: number;
    /** Roles that cannot be read give nothing. */
    readonly unreadable: number;
  };
  readonly manifest_refused: { readonly code: SafeText };
  readonly heads_failed: { readonly code: SafeText };
  readonly login_refused: { readonly code: SafeText };
  readonly failed: { readonly code: SafeText; readonly where: SafeText };
  readonly token_missing: { readonly code: SafeText };
};

/** The log of this service. */
export type CacheLog = Log<Events>;
