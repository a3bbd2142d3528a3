import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBundle, snpEntry, type BundleEntry } from '@cloister/attestation';
import { asBytes, decodePem, decodeUtf8, MalformedError, type Bytes } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';

/** AMD's certificates that stood in files of their own. */
export interface LooseCertificates {
  readonly vek?: Bytes;
  readonly ask?: Bytes;
  readonly ark?: Bytes;
  readonly crl?: Bytes;
}

/** The collateral at hand. */
export interface CollateralAtHand {
  readonly entries: readonly BundleEntry[];
  readonly loose: LooseCertificates;
}

const JSON_FILE = /\.json$/;
const CERTIFICATE_FILE = /\.(pem|der|cer|crt|crl)$/;

/**
 * Collateral from files and folders: bundles and bare `endorsements` objects (`.json`), and AMD's
 * certificates and CRL one by one (`.pem`, `.der`, `.crl`), which their common names tell apart.
 */
export async function readCollateral(paths: readonly string[]): Promise<CollateralAtHand> {
  const entries: BundleEntry[] = [];
  const loose: { vek?: Bytes; ask?: Bytes; ark?: Bytes; crl?: Bytes } = {};
  for (const file of (await Promise.all(paths.map(filesOf))).flat()) {
    const content = asBytes(await readFile(file));
    try {
      if (CERTIFICATE_FILE.test(file)) takeCertificates(file, content, loose);
      else entries.push(...parseBundle(decodeUtf8(content, 'collateral')));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      throw new CommandError(`${file}: ${error.message}`, { cause: error });
    }
  }
  const { vek, ask, ark, crl } = loose;
  if (vek !== undefined && ask !== undefined && ark !== undefined) {
    entries.push(snpEntry({ vek, ask, ark, ...(crl === undefined ? {} : { crl }) }));
  }
  return { entries, loose };
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => JSON_FILE.test(name) || CERTIFICATE_FILE.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

function takeCertificates(
  file: string,
  content: Bytes,
  loose: { vek?: Bytes; ask?: Bytes; ark?: Bytes; crl?: Bytes },
): void {
  const pem = content[0] === 0x2d;
  if (file.endsWith('.crl')) {
    const [der] = pem ? decodePem(decodeUtf8(content), 'X509 CRL', file) : [content];
    if (der !== undefined) loose.crl = der;
    return;
  }
  for (const der of pem ? decodePem(decodeUtf8(content), 'CERTIFICATE', file) : [content]) {
    const name = parseCertificate(der, file).subjectCommonName ?? '';
    if (name === 'SEV-VCEK' || name === 'SEV-VLEK') loose.vek = der;
    else if (name.startsWith('ARK-')) loose.ark = der;
    else if (name.startsWith('SEV-')) loose.ask = der;
  }
}
