import type { Bytes } from '@cloister/bytes';
import { decodeBase64url, encodeBase64url, equalBytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Shape } from '../shape.ts';
import type { Verification } from '../verification.ts';
import { checkStatement, signStatement } from './broker-statement.ts';

/** What one broker says of the newest head that it has seen of another one (design 3.2). */
export interface WitnessStatement {
  readonly deployment: string;
  /** The party whose broker is the witness. */
  readonly party: string;
  /** The party of whose broker it speaks. */
  readonly of: string;
  /** The asker's nonce: an older statement is none. */
  readonly nonce: Bytes;
  /** Seconds since 1970. */
  readonly time: number;
  /** Absent where the witness has never seen a head of that broker. */
  readonly seen?: SeenHead;
}

/** The newest head that a witness has seen. */
export interface SeenHead {
  readonly logSize: number;
  readonly logRoot: string;
  readonly serial: number;
  readonly time: number;
}

const TYP = 'cloister-witness+jws';

/** Signs a statement with the witness's broker key. */
export function signWitnessStatement(statement: WitnessStatement, key: CryptoKey): Promise<string> {
  const { nonce, seen, deployment, party, of, time } = statement;
  const payload = {
    deployment,
    party,
    of,
    nonce: encodeBase64url(nonce),
    time,
    ...(seen === undefined ? {} : { seen: { ...seen } }),
  };
  return signStatement(TYP, payload, key);
}

/** Checks a statement: by the broker of the witness, about this broker, over this nonce. */
export async function verifyWitnessStatement(
  jws: string,
  options: {
    readonly manifest: TrustedManifest;
    readonly witness: string;
    readonly of: string;
    readonly nonce: Bytes;
  },
): Promise<Verification<WitnessStatement>> {
  const { manifest, witness, of, nonce } = options;
  const list = new CheckList();
  const statement = await checkStatement(list, jws, { manifest, party: witness, typ: TYP, read });
  if (statement === undefined) return list.refusal();
  const about =
    statement.deployment === manifest.manifest.deployment &&
    statement.party === witness &&
    statement.of === of;
  list.expect('statement about this broker', about, 'witness_mismatch');
  list.expect('answer to our nonce', equalBytes(statement.nonce, nonce), 'nonce_mismatch');
  return list.result(statement);
}

function read(payload: Shape): WitnessStatement {
  const members = payload.members(['deployment', 'party', 'of', 'nonce', 'time'], ['seen']);
  const seen = members.maybe('seen');
  return {
    deployment: members.get('deployment').string(),
    party: members.get('party').string(),
    of: members.get('of').string(),
    nonce: decodeBase64url(members.get('nonce').string(/^[\w-]{22,86}$/u)),
    time: members.get('time').integer(),
    ...(seen === undefined ? {} : { seen: readSeen(seen) }),
  };
}

function readSeen(shape: Shape): SeenHead {
  const members = shape.members(['logSize', 'logRoot', 'serial', 'time']);
  return {
    logSize: members.get('logSize').integer(),
    logRoot: members.get('logRoot').hex(32),
    serial: members.get('serial').integer(1),
    time: members.get('time').integer(),
  };
}
