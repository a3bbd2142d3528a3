import { concatBytes, equalBytes, type Bytes } from '@cloister/bytes';
import { checkPath, parseCertificate, parsePublicKey, type Certificate } from '@cloister/crypto';
import type { TrustAnchor } from '../intel/collateral.ts';
import type { Lru } from '../intel/lru.ts';
import { Refusal } from '../intel/progress.ts';
import {
  isFoundAmong,
  isSignedBy,
  refuseProblems,
  verifyAmdCa,
  type VerifiedAmdCa,
} from './amd-ca.ts';
import type { SnpCrypto, SnpKey } from './snp-crypto.ts';
import { parseVekExtensions, type VekExtensions } from './vek-extensions.ts';

/** A VCEK or VLEK certificate as read. */
export interface Vek {
  readonly certificate: Certificate;
  readonly kind: 'vcek' | 'vlek';
  readonly extensions: VekExtensions;
}

/** A VEK whose chain leads to an anchor by its signatures; dates and revocation are not judged. */
export interface VerifiedVek extends Vek {
  readonly key: SnpKey;
  readonly ca: VerifiedAmdCa;
}

/** The certificates of a chain, DER. */
export interface AmdChain {
  readonly vek: Bytes;
  readonly ask?: Bytes | undefined;
  readonly ark?: Bytes | undefined;
}

/** Kept verdicts on VEKs and on the CAs above them, by their contents. */
export interface VekCaches {
  readonly veks: Lru<VerifiedVek>;
  readonly amdCas: Lru<VerifiedAmdCa>;
}

/** Stands for the length of a certificate that was not given. */
const ABSENT = 0xffff_ffff;

/** Reads a VEK certificate; which kind it is, its common name says (spec/evidence.md 9.6.2). */
export function parseVek(der: Bytes): Vek {
  const certificate = parseCertificate(der, 'VEK');
  const name = certificate.subjectCommonName;
  if (name !== 'SEV-VCEK' && name !== 'SEV-VLEK') {
    throw new Refusal('snp.signer', 'certificate is neither a VCEK nor a VLEK');
  }
  const kind = name === 'SEV-VCEK' ? 'vcek' : 'vlek';
  return { certificate, kind, extensions: parseVekExtensions(certificate, kind) };
}

/** A copy of a chain, and the bytes that are its name: each part's length, then the parts. */
export interface PackedChain {
  readonly chain: AmdChain;
  readonly bytes: Bytes;
}

/** Copies a chain: later writes to the caller's bytes change nothing of what was hashed. */
export function packChain({ vek, ask, ark }: AmdChain): PackedChain {
  const parts = [vek, ask, ark];
  const lengths = Uint32Array.from(parts, (part) => part?.length ?? ABSENT);
  const head = new Uint8Array(lengths.buffer);
  const bytes = concatBytes(head, ...parts.filter((part) => part !== undefined));
  const askAt = head.length + vek.length;
  const arkAt = askAt + (ask?.length ?? 0);
  return {
    chain: {
      vek: bytes.subarray(head.length, askAt),
      ask: ask && bytes.subarray(askAt, arkAt),
      ark: ark && bytes.subarray(arkAt),
    },
    bytes,
  };
}

/** Verifies the chain of a VEK up to an anchor (spec/evidence.md 9.6.3 and 4). */
export async function verifyVek(
  vek: Vek,
  { ask, ark }: AmdChain,
  anchors: readonly TrustAnchor[],
  crypto: SnpCrypto,
  { amdCas }: VekCaches,
): Promise<VerifiedVek> {
  if (ask === undefined) throw new Refusal('snp.chain', 'ASK was not given');
  const id = await crypto.sha256Hex(packChain({ vek: new Uint8Array(), ask, ark }).bytes);
  let ca = amdCas.get(id);
  if (ca === undefined || !isFoundAmong(ca, anchors)) {
    ca = await verifyAmdCa(ask, ark, anchors, crypto);
    amdCas.set(id, ca);
  }
  const { certificate } = vek;
  const path = { at: certificate.notBefore, anchorName: ca.certificate.subject };
  refuseProblems(checkPath([certificate], path), 'VEK');
  if (!equalBytes(certificate.issuer, ca.certificate.subject)) {
    throw new Refusal('snp.chain', 'VEK is of another CA');
  }
  if (!(await isSignedBy(certificate, ca.key))) {
    throw new Refusal('snp.chain', 'VEK is not signed by the ASK');
  }
  const point = parsePublicKey(certificate.spki, 'VEK key');
  if (point.type !== 'ec' || point.curve !== 'P-384') {
    throw new Refusal('snp.chain', 'VEK key: not P-384');
  }
  const key = await crypto.importP384(concatBytes(point.x, point.y));
  if (key === undefined) throw new Refusal('snp.chain', 'VEK key: not on the curve');
  return { ...vek, key, ca };
}
