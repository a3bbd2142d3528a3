import {
  createIntelSource,
  createKdsProtocol,
  createPccsProtocol,
  createPcsProtocol,
  createSnpSource,
  createThimAmdProtocol,
  createThimProtocol,
  intelSourcesInOrder,
  snpSourcesInOrder,
  type CollateralFetch,
  type DocumentOrigin,
  type CollateralFailure,
  type IntelCollateralSource,
  type IntelServerSource,
  type SnpEndorsementSource,
  type TcbSelection,
} from '@cloister/attestation';
import { CommandError } from '../command-error.ts';
import { createFolderStore } from './folder-store.ts';

/** Where to ask, and how. */
export interface SourceOptions {
  /** `pcs`, `pccs=<url>`, `thim`, `kds`, `thim-amd`; in the order in which they are to be asked. */
  readonly names: readonly string[];
  readonly select?: TcbSelection | undefined;
  /** AMD's CRL; true unless told. */
  readonly crl?: boolean;
  /** A folder in which documents are kept. */
  readonly keep?: string | undefined;
  readonly fetch: CollateralFetch;
}

/** Sources as a command was told. */
export interface OpenSources {
  readonly intel: IntelCollateralSource;
  readonly snp: SnpEndorsementSource;
  /** Those that speak Intel's API. */
  readonly servers: readonly IntelServerSource[];
}

/** Opens the sources; CommandError for a name that is none. */
export function openSources({ names, select, crl, keep, fetch }: SourceOptions): OpenSources {
  const options = {
    fetch,
    now: () => new Date(),
    wait: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    ...(keep === undefined ? {} : { store: createFolderStore(keep) }),
  };
  const servers: IntelServerSource[] = [];
  const snp: SnpEndorsementSource[] = [];
  for (const name of names) {
    const [kind, baseUrl] = split(name);
    const at = baseUrl === undefined ? {} : { baseUrl };
    const chosen = select === undefined ? at : { ...at, select };
    if (kind === 'pcs') {
      const rootCrlUrl =
        baseUrl === undefined ? {} : { rootCrlUrl: `${baseUrl}/IntelSGXRootCA.der` };
      servers.push(createIntelSource(createPcsProtocol({ ...chosen, ...rootCrlUrl }), options));
    } else if (kind === 'pccs') {
      if (baseUrl === undefined) throw new CommandError('pccs needs an address: pccs=<url>');
      servers.push(createIntelSource(createPccsProtocol({ ...chosen, baseUrl }), options));
    } else if (kind === 'thim') {
      servers.push(createIntelSource(createThimProtocol(chosen), options));
    } else if (kind === 'kds') {
      snp.push(createSnpSource(createKdsProtocol(at), { ...options, crl: crl ?? true }));
    } else if (kind === 'thim-amd') {
      snp.push(createSnpSource(createThimAmdProtocol(at), { ...options, crl: false }));
    } else throw new CommandError(`no source ${kind}: pcs, pccs=<url>, thim, kds or thim-amd`);
  }
  return { intel: intelSourcesInOrder(servers), snp: snpSourcesInOrder(snp), servers };
}

function split(name: string): readonly [string, string | undefined] {
  const at = name.indexOf('=');
  return at < 0 ? [name, undefined] : [name.slice(0, at), name.slice(at + 1).replace(/\/+$/, '')];
}

/** Where a document came from, in one line. */
export function describeOrigin(origin: DocumentOrigin): string {
  const { document, source, ageSeconds, freshness, nextUpdate, lastFailure } = origin;
  const parts = [
    `from ${source}`,
    ageSeconds < 60 ? 'now' : `${Math.floor(ageSeconds / 60)} min ago`,
    freshness,
    ...(nextUpdate === undefined ? [] : [`ends ${nextUpdate.toISOString().slice(0, 10)}`]),
    ...(lastFailure === undefined ? [] : [`last attempt: ${lastFailure.code}`]),
  ];
  return `${document}: ${parts.join(', ')}`;
}

/** Why there is no document, in one line. */
export function describeFailure(failure: CollateralFailure): string {
  const { code, source, document, status, retryAt, detail } = failure;
  const parts = [
    code,
    ...(status === undefined ? [] : [`status ${status}`]),
    ...(retryAt === undefined ? [] : [`not before ${retryAt.toISOString()}`]),
    ...(detail === undefined ? [] : [detail]),
  ];
  return `${document}: ${source} has none (${parts.join(', ')})`;
}
