import {
  createBundleSource,
  type BundleEntry,
  type IntelCollateral,
  type IntelCollateralSource,
  type IntelQuery,
  type SnpEndorsements,
  type SnpQuery,
} from '@cloister/attestation';
import { isJsonObject, parseJsonObject, type Bytes } from '@cloister/bytes';
import { isGoodAt, newestAt, type Dated } from './dated.ts';
import { assembleCollateral, type LooseDocuments } from './loose-documents.ts';

/** The collateral that this service has at hand, or can ask for. */
export interface CollateralStore {
  /**
   * The newest that is good at that time; else the newest; undefined where there is none. With a
   * baseline, that of this evaluation data number, or a newer one: what meets it meets the older.
   */
  find(key: IntelQuery, at: Date, baseline?: number): Promise<IntelCollateral | undefined>;
  /** AMD's certificates of a chip for a TCB; undefined where there are none. */
  findSnp(query: SnpQuery): Promise<SnpEndorsements | undefined>;
  /** The CRL of AMD's root for a product line, DER; undefined where there is none. */
  amdCrl(product: string): Bytes | undefined;
  /** The evaluation data numbers that are at hand for a kind of TEE, the newest first. */
  baselines(tee: 'sgx' | 'tdx'): readonly Baseline[];
  readonly size: number;
}

/** A TCB baseline: one set of Intel's TCB documents. */
export interface Baseline {
  readonly evaluation: number;
  readonly issued: Date;
}

/** What a store is made of. */
export interface CollateralSupply {
  readonly entries: readonly BundleEntry[];
  readonly loose?: LooseDocuments;
  /** Asked where nothing at hand is good. */
  readonly remote?: IntelCollateralSource;
}

interface Candidate {
  readonly collateral: IntelCollateral;
  readonly number: number;
  readonly good: boolean;
}

/** A store of bundles and loose documents, backed by a source on the network if there is one. */
export function createCollateralStore(supply: CollateralSupply): CollateralStore {
  const { entries, loose, remote } = supply;
  const shelf = entries.filter((entry) => entry.kind === 'intel');
  const chips = entries.filter((entry) => entry.kind === 'snp');
  // AMD's certificates have no end that would need the time.
  const chipSource = createBundleSource(chips, { now: () => new Date(0) });
  const same = rememberSame();
  const local = (key: IntelQuery, at: Date, baseline?: number): Candidate | undefined => {
    const fitting = shelf.filter(
      ({ query, evaluationNumber }) =>
        query.tee === key.tee &&
        query.fmspc === key.fmspc &&
        query.ca === key.ca &&
        (baseline === undefined || evaluationNumber === baseline),
    );
    const kept = newestAt(fitting, at);
    const onShelf = kept && {
      collateral: kept.collateral,
      number: kept.evaluationNumber,
      good: isGoodAt(kept, at),
    };
    if (onShelf?.good === true || loose === undefined) return onShelf;
    const assembled = assembleCollateral(loose, key, at, baseline);
    return assembled?.good === true ? assembled : (onShelf ?? assembled);
  };
  const find: CollateralStore['find'] = async (key, at, baseline) => {
    const exact = baseline === undefined ? undefined : local(key, at, baseline);
    if (exact !== undefined) return same(key, exact.collateral);
    let best = local(key, at);
    if (best?.good !== true && remote !== undefined) {
      const fetched = await remote.intel(key);
      if (fetched.ok)
        best = { collateral: fetched.value, number: numberOf(fetched.value), good: true };
    }
    if (best === undefined || best.number < (baseline ?? 0)) return undefined;
    return same(key, best.collateral);
  };
  return {
    size: shelf.length + chips.length + (loose?.tcbInfos.length ?? 0),
    find,
    findSnp: async (query) => {
      const found = await chipSource.snp(query);
      return found.ok ? found.value : undefined;
    },
    amdCrl: (product) =>
      chips.find(({ query, endorsements }) => query.product === product && endorsements.crl)
        ?.endorsements.crl,
    baselines: (tee) => {
      const all = new Map<number, Date>();
      const note = ({ evaluationNumber, issued }: Dated): void => {
        const before = all.get(evaluationNumber);
        if (before === undefined || before > issued) all.set(evaluationNumber, issued);
      };
      for (const one of shelf) if (one.query.tee === tee) note(one);
      for (const one of loose?.tcbInfos ?? []) if (one.tee === tee) note(one);
      return Array.from(all, ([evaluation, issued]) => ({ evaluation, issued })).toSorted(
        (a, b) => b.evaluation - a.evaluation,
      );
    },
  };
}

function numberOf({ tcbInfo }: IntelCollateral): number {
  const body = parseJsonObject(tcbInfo, 'TCB info')['tcbInfo'];
  const number = isJsonObject(body) ? body['tcbEvaluationDataNumber'] : undefined;
  return typeof number === 'number' ? number : 0;
}

/**
 * The same object for the same documents: whoever keeps what follows from them, keeps it by the
 * object.
 */
function rememberSame(): (key: IntelQuery, found: IntelCollateral) => IntelCollateral {
  const last = new Map<string, IntelCollateral>();
  return ({ tee, fmspc, ca }, found) => {
    const id = `${tee}/${fmspc}/${ca}`;
    const before = last.get(id);
    if (before !== undefined && isSame(before, found)) return before;
    last.delete(id);
    last.set(id, found);
    const [oldest] = last.keys();
    if (last.size > 1024 && oldest !== undefined) last.delete(oldest);
    return found;
  };
}

function isSame(a: IntelCollateral, b: IntelCollateral): boolean {
  return (
    a.tcbInfo === b.tcbInfo &&
    a.qeIdentity === b.qeIdentity &&
    a.tcbInfoChain === b.tcbInfoChain &&
    a.qeIdentityChain === b.qeIdentityChain &&
    a.pckCrl === b.pckCrl &&
    a.rootCaCrl === b.rootCaCrl
  );
}
