import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  asBytes,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';

/** One entry of an evidence manifest, as far as a verifier needs it. */
export interface EvidenceVector {
  readonly id: string;
  readonly tee: string;
  readonly kind: string;
  readonly at: Date | undefined;
  /** Paths relative to the manifest, by what the file is; `trustAnchor` is among them. */
  readonly files: ReadonlyMap<string, string>;
  readonly expected: JsonObject;
}

/** What a verifier says of an entry, in the manifest's names. */
export interface VectorOutcome {
  readonly id: string;
  /** null where this kind of evidence is not supported. */
  readonly verdict: 'accept' | 'reject' | null;
  readonly tcbStatus: string | null;
  readonly advisoryIds: readonly string[] | null;
  readonly failure: string | null;
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly policyFindings: readonly string[];
}

/** Reads an entry's file by what it is. */
export type ReadVectorFile = (name: string) => Promise<Bytes>;

/** These members, where they are there. */
export function pick<T extends object>(claims: T, names: readonly (keyof T & string)[]) {
  return Object.fromEntries(
    names.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])),
  );
}

/** Reads a manifest; MalformedError names the entry that cannot be read. */
export function parseVectors(text: string): EvidenceVector[] {
  const { vectors } = parseJsonObject(text, 'evidence manifest');
  if (!Array.isArray(vectors)) throw new MalformedError('bad_value', 'evidence manifest: vectors');
  return vectors.map((vector, i) => {
    const where = `evidence manifest: vectors[${i}]`;
    if (!isJsonObject(vector)) throw new MalformedError('bad_value', where);
    const { id, tee, kind, validAt, files, trustAnchor, expected } = vector;
    if (
      typeof id !== 'string' ||
      typeof tee !== 'string' ||
      typeof kind !== 'string' ||
      !isJsonObject(files)
    ) {
      throw new MalformedError('bad_value', where);
    }
    const paths = Object.entries({
      ...files,
      ...(trustAnchor === undefined ? {} : { trustAnchor }),
    });
    return {
      id,
      tee,
      kind,
      at: typeof validAt === 'number' ? new Date(validAt * 1000) : undefined,
      files: new Map(
        paths.map(([name, path]): [string, string] => {
          if (typeof path === 'string') return [name, path];
          throw new MalformedError('bad_value', `${where}.files.${name}`);
        }),
      ),
      expected: isJsonObject(expected) ? expected : {},
    };
  });
}

/** Reads the files of an entry beside its manifest. */
export function readBeside(manifest: string, { id, files }: EvidenceVector): ReadVectorFile {
  return async (name) => {
    const path = files.get(name);
    if (path === undefined) throw new MalformedError('truncated', `${id}: no file ${name}`);
    return asBytes(await readFile(join(dirname(manifest), path)));
  };
}

/**
 * In what an outcome differs from what an entry expects, in words; empty where they agree. Where
 * the reference leaves the choice to the implementer (mayReject, mayAccept) either verdict agrees.
 */
export function findDisagreements({ expected }: EvidenceVector, outcome: VectorOutcome): string[] {
  const { verdict, failure } = outcome;
  if (expected['verdict'] !== verdict) {
    const free = verdict === 'reject' ? expected['mayReject'] : expected['mayAccept'];
    return free === undefined || verdict === null ? [`verdict ${verdict}, failure ${failure}`] : [];
  }
  const differences: string[] = [];
  const compare = (name: 'tcbStatus' | 'advisoryIds' | 'claims' | 'policyFindings') => {
    const found = sortedJson(outcome[name]);
    if (found !== sortedJson(expected[name])) differences.push(`${name} ${found}`);
  };
  compare('tcbStatus');
  compare('advisoryIds');
  compare('policyFindings');
  if (verdict === 'accept') compare('claims');
  const { codes } = expected;
  if (verdict === 'reject' && !(Array.isArray(codes) && codes.some((code) => code === failure))) {
    differences.push(`failure ${failure}`);
  }
  return differences;
}

/** A text that is equal for equal JSON values, whatever the order of their members. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${sortedJson(item)}`).join()}}`;
}
