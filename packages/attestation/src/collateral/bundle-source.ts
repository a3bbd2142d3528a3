import type { IntelCollateral } from '../intel/collateral.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import { isSameTcb } from '../snp/tcb.ts';
import type { BundleEntry, BundleOrigin } from './bundle.ts';
import type {
  DocumentOrigin,
  Fetched,
  IntelCollateralSource,
  IntelQuery,
  SnpEndorsementSource,
  SnpQuery,
} from './collateral-source.ts';

type IntelEntry = Extract<BundleEntry, { kind: 'intel' }>;
type SnpEntry = Extract<BundleEntry, { kind: 'snp' }>;

/**
 * Collateral out of an offline bundle. Of several entries for a platform the newest that is in date
 * counts; where none is, the newest, and the answer says `expired`.
 */
export function createBundleSource(
  entries: readonly BundleEntry[],
  { now, name = 'bundle' }: { readonly now: () => Date; readonly name?: string },
): IntelCollateralSource & SnpEndorsementSource {
  const intel = entries
    .filter((entry): entry is IntelEntry => entry.kind === 'intel')
    .toSorted(
      (a, b) => b.evaluationNumber - a.evaluationNumber || Number(b.issued) - Number(a.issued),
    );
  const snp = entries.filter((entry): entry is SnpEntry => entry.kind === 'snp');
  const missing = (document: string): Fetched<never> => ({
    ok: false,
    failures: [{ code: 'not_found', source: name, document }],
  });
  return {
    name,
    intel: (query) => {
      const at = now();
      const fitting = intel.filter((entry) => isIntelFor(entry, query));
      const good = fitting.find(({ issued, ends }) => issued <= at && at <= ends);
      const entry = good ?? fitting[0];
      if (entry === undefined) return Promise.resolve(missing('TCB info'));
      const origins = originsOf(entry.origins, name, entry.ends, at);
      const { collateral: value } = entry;
      return Promise.resolve<Fetched<IntelCollateral>>({ ok: true, value, origins, failures: [] });
    },
    snp: (query) => {
      const entry = snp.find((one) => isSnpFor(one, query));
      if (entry === undefined) return Promise.resolve(missing('VCEK'));
      const origins = originsOf(entry.origins, name, undefined, now());
      const { endorsements: value } = entry;
      return Promise.resolve<Fetched<SnpEndorsements>>({ ok: true, value, origins, failures: [] });
    },
  };
}

function isIntelFor({ query }: IntelEntry, { tee, fmspc, ca }: IntelQuery): boolean {
  return query.tee === tee && query.fmspc === fmspc && query.ca === ca;
}

/** Turin's certificates name a chip by its first bytes. */
function isSnpFor({ query }: SnpEntry, { product, signer, chipId, tcb }: SnpQuery): boolean {
  if (query.product !== product || query.signer !== signer) return false;
  if (!isSameTcb(query.tcb, tcb)) return false;
  return signer === 'vlek' || (query.chipId !== '' && chipId.startsWith(query.chipId));
}

function originsOf(
  origins: readonly BundleOrigin[],
  name: string,
  ends: Date | undefined,
  at: Date,
): DocumentOrigin[] {
  return origins.map(({ document, source, fetchedAt }) => ({
    document,
    source: `${name}: ${source}`,
    fetchedAt,
    ageSeconds: Math.max(0, Math.floor((at.getTime() - fetchedAt.getTime()) / 1000)),
    ...(ends === undefined ? {} : { nextUpdate: ends }),
    freshness: ends !== undefined && !(at <= ends) ? 'expired' : 'fresh',
  }));
}
