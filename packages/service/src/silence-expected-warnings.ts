/** What of `process` is needed to choose which warnings are shown. */
export interface WarningSource {
  listeners(event: 'warning'): readonly unknown[];
  removeAllListeners(event: 'warning'): unknown;
  on(event: 'warning', listener: (warning: Error) => void): unknown;
}

/** WebCrypto's ML-KEM: experimental in Node 24, used knowingly where no primitives are passed. */
const EXPECTED: readonly RegExp[] = [
  /^The ML-KEM-\d+ Web Crypto API algorithm is an experimental feature\b/,
  /^The (?:en|de)capsulateBits Web Crypto API method is an experimental feature\b/,
];

/**
 * Keeps Node from printing the experimental warnings of WebCrypto's ML-KEM, and no other warning:
 * whoever listened before goes on to hear all others. Called once, by `main.ts`.
 */
export function silenceExpectedWarnings(source: WarningSource): void {
  const listeners = source.listeners('warning');
  source.removeAllListeners('warning');
  source.on('warning', (warning) => {
    if (isExpected(warning)) return;
    for (const listener of listeners)
      if (typeof listener === 'function') Reflect.apply(listener, source, [warning]);
  });
}

function isExpected({ name, message }: Error): boolean {
  return name === 'ExperimentalWarning' && EXPECTED.some((text) => text.test(message));
}
