/** Why a cache cannot be used, or why what it held does not count. Stable: metrics count by it. */
export type CacheFault =
  /** Not what was sealed under this key, or no sealed value at all. */
  | 'tampered'
  /** Sealed under this key, but older than what this process has seen there. */
  | 'replayed'
  /** Sealed by keys that are not at hand any more. */
  | 'unknown_epoch'
  /** The cache could not be reached, and something else stood in for it. */
  | 'unavailable';
