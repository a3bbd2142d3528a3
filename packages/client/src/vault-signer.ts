import type { CheckList, VaultAgreement } from '@cloister/attestation';
import { encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import {
  checkPath,
  EXTENSION,
  parseCertificate,
  readAlternativeNames,
  sha256,
  verifyPath,
  type Certificate,
} from '@cloister/crypto';

/** A leaf, and up to four authorities above it. */
const LONGEST = 5;
const UNDERSTOOD = [EXTENSION.SUBJECT_ALTERNATIVE_NAME];

/** Who vouches for a vault, and when that must hold. */
export interface VaultTrust {
  readonly vault: VaultAgreement;
  readonly at: Date;
}

/** The checks that `verifyVaultSigner` makes. */
export const SIGNER_CHECKS = [
  'form of the certificates',
  'under an authority of the manifest',
  'path of certificates',
  'certificate names the vault',
  'key may sign',
] as const;

/**
 * The certificate by whose key a vault signs: chained to an authority that the manifest pins, valid
 * now, for the vault's host name. No list of authorities of the host counts, and revocation is not
 * asked for: who must be cut off is taken out of the manifest.
 */
export async function verifyVaultSigner(
  chain: readonly Uint8Array[],
  { vault, at }: VaultTrust,
  list: CheckList,
): Promise<Certificate | undefined> {
  const certificates = read(chain);
  const leaf = certificates?.[0];
  const isRead = certificates !== undefined && leaf !== undefined;
  if (!list.expect('form of the certificates', isRead, 'vault_certificate_malformed') || !isRead)
    return undefined;
  const index = await pinnedIndex(certificates, vault.roots);
  const anchor = certificates[index];
  const isPinned = anchor !== undefined;
  const under = 'under an authority of the manifest';
  if (!list.expect(under, isPinned, 'vault_authority_foreign') || !isPinned) return undefined;
  const path = certificates.slice(0, index);
  const options = { at, understood: UNDERSTOOD };
  const anchored = { ...options, anchorName: anchor.subject, anchorSpki: anchor.spki };
  // The authority's own certificate binds as well: how long, and how deep below it.
  const [problem] = [
    ...(await verifyPath(path, anchored)),
    ...checkPath([...path, anchor], options),
  ];
  const code = `vault_certificate_${problem?.code ?? 'invalid'}`;
  if (!list.expect('path of certificates', problem === undefined, code)) return undefined;
  const { hostname } = new URL(vault.url);
  const named = namesOf(leaf).some((name) => matches(name, hostname));
  if (!list.expect('certificate names the vault', named, 'vault_host_mismatch')) return undefined;
  const signs = leaf.keyUsage?.has('digitalSignature') !== false;
  return list.expect('key may sign', signs, 'vault_certificate_usage') ? leaf : undefined;
}

function read(chain: readonly Uint8Array[]): readonly Certificate[] | undefined {
  if (chain.length < 2 || chain.length > LONGEST) return undefined;
  try {
    return chain.map((der) => parseCertificate(der, 'vault certificate'));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** Where the first authority above the leaf is whose key the manifest pins; -1 where there is none. */
async function pinnedIndex(
  certificates: readonly Certificate[],
  roots: readonly string[],
): Promise<number> {
  const digests = await Promise.all(certificates.map(({ spki }) => digestOf(spki)));
  return digests.findIndex((digest, i) => i > 0 && roots.includes(digest));
}

async function digestOf(spki: Bytes): Promise<string> {
  return encodeHex(await sha256(spki));
}

function namesOf({ extensions }: Certificate): readonly string[] {
  try {
    return readAlternativeNames(extensions, 'vault certificate').dnsNames;
  } catch (error) {
    if (error instanceof MalformedError) return [];
    throw error;
  }
}

/** Whether a name of a certificate is this host (RFC 9525, 6.3): a `*` stands for one whole label. */
function matches(name: string, host: string): boolean {
  const wanted = name.toLowerCase();
  if (wanted === host) return true;
  const [first, ...parent] = host.split('.');
  // Not for a name right under a top-level domain.
  return first !== '' && parent.length >= 2 && wanted === `*.${parent.join('.')}`;
}
