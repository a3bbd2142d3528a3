import type { Bytes } from '@cloister/bytes';
import { decodeBase64url, encodeBase64url, equalBytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Shape } from '../shape.ts';
import type { Verification } from '../verification.ts';
import { checkStatement, signStatement } from './broker-statement.ts';
import { verifyHead, type VerifiedHead } from './head.ts';

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
  /**
   * The head itself, as the broker signed it: so that a witness can hide what it saw, and cannot
   * make up what it did not. Absent where it has never seen one.
   */
  readonly seen?: string;
}

/** A statement whose signature, and that of the head in it, were verified. */
export interface VerifiedWitnessStatement extends Omit<WitnessStatement, 'seen'> {
  readonly seen?: VerifiedHead;
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
    ...(seen === undefined ? {} : { seen }),
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
): Promise<Verification<VerifiedWitnessStatement>> {
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
  const { seen, ...rest } = statement;
  if (seen === undefined) return list.result(rest);
  const head = await verifyHead(seen, { manifest, party: of });
  list.expect('head by the broker itself', head.ok, 'head_forged');
  return head.ok ? list.result({ ...rest, seen: head.claims }) : list.refusal();
}

function read(payload: Shape): WitnessStatement {
  const members = payload.members(['deployment', 'party', 'of', 'nonce', 'time'], ['seen']);
  const seen = members.maybe('seen')?.string(/^[\w.-]{1,4096}$/u);
  return {
    deployment: members.get('deployment').string(),
    party: members.get('party').string(),
    of: members.get('of').string(),
    nonce: decodeBase64url(members.get('nonce').string(/^[\w-]{22,86}$/u)),
    time: members.get('time').integer(),
    ...(seen === undefined ? {} : { seen }),
  };
}
