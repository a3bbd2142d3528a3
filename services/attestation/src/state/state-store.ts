import type { Bytes } from '@cloister/bytes';
import type { PolicyType } from '../kinds.ts';

/** Something stored, with the number of its last change: 0 where nothing was stored yet. */
export interface Versioned<T> {
  readonly version: number;
  readonly value: T;
}

/** What a management call did, or tried to do. */
export interface AuditRecord {
  /** Seconds since 1970. */
  readonly time: number;
  /** Who called, as the authorizer names callers. */
  readonly actor: string;
  readonly operation: AuditOperation;
  /** The policy's type; of certificates and keys, what they are. */
  readonly subject: PolicyType | 'certificates' | 'keys';
  /** SHA-256 of what was sent, base64url; empty where nothing was. */
  readonly digest: string;
  /** `done`, or why it was refused. */
  readonly outcome: string;
}

/** The operations that are recorded. */
export type AuditOperation =
  | 'get-policy'
  | 'set-policy'
  | 'reset-policy'
  | 'get-certificates'
  | 'add-certificate'
  | 'remove-certificate'
  | 'rotate-key';

/** A record in its chain: its hash covers the one before, so none can be left out unseen. */
export interface ChainedRecord extends AuditRecord {
  readonly position: number;
  /** SHA-256 over the hash before it and this record; lower hex. */
  readonly hash: string;
}

/**
 * What outlives the process besides its keys: policies, policy signers, and the audit of who
 * changed them. Changes are optimistic: each names the version that it was decided on, is made
 * together with its record or not at all, and answers false where another came in between.
 */
export interface StateStore {
  /** The policy JWS that was set; undefined where the default one is in force. */
  policy(type: PolicyType): Promise<Versioned<string | undefined>>;
  setPolicy(
    type: PolicyType,
    jws: string | undefined,
    expected: number,
    record: AuditRecord,
  ): Promise<boolean>;
  /** The certificates, DER, of those who may sign policies; undefined on an open instance. */
  signers(): Promise<Versioned<readonly Bytes[] | undefined>>;
  /** A record only where a call made the change, not the start of an instance. */
  setSigners(
    certificates: readonly Bytes[],
    expected: number,
    record?: AuditRecord,
  ): Promise<boolean>;
  /** Takes the next number of the key ring: only one replica gets each. */
  claimRotation(expected: number, record: AuditRecord): Promise<boolean>;
  rotation(): Promise<number>;
  /** Keeps a record of a call that changed nothing. */
  record(record: AuditRecord): Promise<void>;
  /** The records after a position, the oldest first, at most so many. */
  records(after: number, most: number): Promise<readonly ChainedRecord[]>;
  close(): void;
}
