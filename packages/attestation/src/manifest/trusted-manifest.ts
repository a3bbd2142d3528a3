import type { Manifest } from './manifest.ts';

const TRUSTED: unique symbol = Symbol('made by verifyManifest');

/** A manifest whose signatures were verified: only `verifyManifest` makes one. */
export interface TrustedManifest {
  readonly [TRUSTED]: true;
  readonly manifest: Manifest;
  /** SHA-256 of the canonical JSON, lower hex. */
  readonly id: string;
  /** The parties whose signatures counted, sorted. */
  readonly signers: readonly string[];
  /** Whether keys from outside judged it: a predecessor's, or some given out of band. */
  readonly anchored: boolean;
}

/**
 * The manifest before the one in force: who still runs by it is bridged for one lease after the
 * change, where the manifest in force admits its code as well. A relying party that releases
 * secrets bridges nobody.
 */
export interface ManifestBridge {
  readonly manifestId: string;
  /** When it ends. */
  readonly until: Date;
}

/** Marks a manifest as verified; for `verifyManifest` alone, the package does not export it. */
export function markTrusted(
  manifest: Manifest,
  id: string,
  verdict: Pick<TrustedManifest, 'signers' | 'anchored'>,
): TrustedManifest {
  return Object.freeze({ [TRUSTED]: true as const, manifest, id, ...verdict });
}
