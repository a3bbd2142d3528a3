import { type Bytes, encodeUtf8, Writer } from '@cloister/bytes';

/** What a sealed object is: whose, of what type, which one, which version of it. */
export interface ObjectRef {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
  readonly version: number;
}

/**
 * The one encoding of a reference, each part behind its length: it goes into the key derivation
 * and the authenticated data, so two references never share an encoding.
 */
export function encodeObjectRef(ref: ObjectRef): Bytes {
  const out = new Writer();
  for (const part of ['cloister object v1', ref.tenant, ref.type, ref.id]) {
    const bytes = encodeUtf8(part);
    out.u32be(bytes.length).bytes(bytes);
  }
  return out.u32be(ref.version).finish();
}
