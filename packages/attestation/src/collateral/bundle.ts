import {
  encodeHex,
  MalformedError,
  parseJson,
  sliceJsonMember,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { parseCrl } from '@cloister/crypto';
import { encodeIntelEndorsements, intelCollateralOf } from '../evidence/envelope.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import { parseInstant } from '../intel/json-fields.ts';
import { Refusal } from '../intel/progress.ts';
import { parseQeIdentity } from '../intel/qe-identity.ts';
import { parseTcbInfo } from '../intel/tcb-info.ts';
import { Shape } from '../shape.ts';
import {
  encodeSnpEndorsements,
  snpEndorsementsOf,
  type SnpEndorsements,
} from '../snp/endorsements.ts';
import { productOfName } from '../snp/product.ts';
import { parseVek } from '../snp/vek.ts';
import type { IntelQuery, SnpQuery } from './collateral-source.ts';
import { pckCaOf } from './evidence-query.ts';

/** Where a document of a bundle came from, as whoever made the bundle says. */
export interface BundleOrigin {
  readonly document: string;
  readonly source: string;
  readonly fetchedAt: Date;
}

/** The collateral of one platform in a bundle: what it is for is read from the documents. */
export type BundleEntry =
  | {
      readonly kind: 'intel';
      readonly query: IntelQuery;
      readonly collateral: IntelCollateral;
      /** In date from the latest issue to the earliest end of its documents. */
      readonly issued: Date;
      readonly ends: Date;
      /** The lower one of TCB info and QE identity. */
      readonly evaluationNumber: number;
      readonly origins: readonly BundleOrigin[];
      /** PEM of the CA that signed the PCK CRL; to check the bundle with, no verifier needs it. */
      readonly pckCrlChain?: string;
    }
  | {
      readonly kind: 'snp';
      readonly query: SnpQuery;
      readonly endorsements: SnpEndorsements;
      readonly origins: readonly BundleOrigin[];
    };

/** What goes into a bundle besides the documents. */
export interface EntryNotes {
  readonly origins?: readonly BundleOrigin[];
  readonly pckCrlChain?: string;
}

const NAME = 'collateral bundle';
const MAX_ENTRIES = 1024;

/**
 * Reads an offline bundle, or one bare `endorsements` object (design 3.7), which counts as a bundle
 * of one. MalformedError where a document cannot be read; nothing is verified.
 */
export function parseBundle(text: string): BundleEntry[] {
  const json = parseJson(text, NAME);
  const shape = new Shape(json, NAME);
  if (!Object.hasOwn(shape.object(), 'cloisterCollateral')) return [readEntry(shape.object(), {})];
  const members = shape.members(['cloisterCollateral', 'entries']);
  members.get('cloisterCollateral').integer(1, 1);
  return members
    .get('entries')
    .items({ max: MAX_ENTRIES })
    .map((item) => {
      const entry = item.members(['endorsements'], ['origins', 'pckCrlChain']);
      const pckCrlChain = entry.maybe('pckCrlChain')?.string(/^[\s\S]{1,65536}$/u);
      return readEntry(entry.get('endorsements').object(), {
        origins: entry.maybe('origins')?.items().map(parseOrigin) ?? [],
        ...(pckCrlChain === undefined ? {} : { pckCrlChain }),
      });
    });
}

/** The text of a bundle, as `parseBundle` reads it. */
export function encodeBundle(entries: readonly BundleEntry[]): string {
  const list = entries.map((entry): JsonObject => {
    const origins = entry.origins.map(
      ({ document, source, fetchedAt }): JsonValue => ({
        document,
        source,
        fetchedAt: instant(fetchedAt),
      }),
    );
    if (entry.kind === 'snp') {
      const { endorsements, query } = entry;
      return { endorsements: encodeSnpEndorsements(endorsements, query.signer), origins };
    }
    const { collateral, pckCrlChain } = entry;
    const chain: JsonObject = pckCrlChain === undefined ? {} : { pckCrlChain };
    return { endorsements: encodeIntelEndorsements(collateral), ...chain, origins };
  });
  return `${JSON.stringify({ cloisterCollateral: 1, entries: list }, null, 2)}\n`;
}

/** An entry of Intel's collateral; MalformedError where it does not say what it is for. */
export function intelEntry(collateral: IntelCollateral, notes: EntryNotes = {}): BundleEntry {
  const tcbInfo = parseTcbInfo(sliceJsonMember(collateral.tcbInfo, 'tcbInfo', 'TCB info'));
  const member = sliceJsonMember(collateral.qeIdentity, 'enclaveIdentity', 'QE identity');
  const qeIdentity = parseQeIdentity(member);
  const crls = [parseCrl(collateral.pckCrl, 'PCK CRL'), parseCrl(collateral.rootCaCrl, 'root CRL')];
  const [pckCrl] = crls;
  if (pckCrl === undefined) throw new MalformedError('truncated', 'PCK CRL');
  if ((qeIdentity.id === 'TD_QE') !== (tcbInfo.tee === 'tdx')) {
    throw new MalformedError('bad_value', 'QE identity: of another TEE than the TCB info');
  }
  const issued = [tcbInfo.issueDate, qeIdentity.issueDate, ...crls.map((crl) => crl.thisUpdate)];
  const ends = [tcbInfo.nextUpdate, qeIdentity.nextUpdate, ...crls.map(endOf)];
  const numbers = [tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber];
  return {
    kind: 'intel',
    query: { tee: tcbInfo.tee, fmspc: encodeHex(tcbInfo.fmspc), ca: pckCaOf(pckCrl) },
    collateral,
    issued: new Date(Math.max(...issued.map(Number))),
    ends: new Date(Math.min(...ends.map(Number))),
    evaluationNumber: Math.min(...numbers),
    origins: notes.origins ?? [],
    ...(notes.pckCrlChain === undefined ? {} : { pckCrlChain: notes.pckCrlChain }),
  };
}

/** An entry of AMD's certificates. */
export function snpEntry(endorsements: SnpEndorsements, notes: EntryNotes = {}): BundleEntry {
  const { kind: signer, extensions } = readVek(endorsements);
  const product = productOfName(extensions.productName);
  if (product === undefined) throw new MalformedError('bad_value', 'VEK: product line');
  const chipId = encodeHex(extensions.hwId ?? new Uint8Array());
  return {
    kind: 'snp',
    query: { product, signer, chipId, tcb: extensions.tcb },
    endorsements,
    origins: notes.origins ?? [],
  };
}

function readVek({ vek }: SnpEndorsements): ReturnType<typeof parseVek> {
  try {
    return parseVek(vek);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new MalformedError('bad_value', `VEK: ${error.detail}`, { cause: error });
  }
}

function readEntry(endorsements: JsonObject, notes: EntryNotes): BundleEntry {
  return Object.hasOwn(endorsements, 'ask')
    ? snpEntry(snpEndorsementsOf(endorsements), notes)
    : intelEntry(intelCollateralOf(endorsements), notes);
}

function parseOrigin(shape: Shape): BundleOrigin {
  const members = shape.members(['document', 'source', 'fetchedAt']);
  return {
    document: members.get('document').string(/^[\w ]{1,64}$/u),
    source: members.get('source').string(/^[\w.:-]{1,128}$/u),
    fetchedAt: parseInstant(members.get('fetchedAt').string(), `${NAME}: fetchedAt`),
  };
}

function endOf({ nextUpdate }: { readonly nextUpdate: Date | undefined }): Date {
  return nextUpdate ?? new Date(0);
}

/** As Intel writes instants: whole seconds. */
function instant(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
