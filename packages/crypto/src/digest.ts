import { asBytes, type Bytes } from '@cloister/bytes';

/** SHA-256 (FIPS 180-4). */
export async function sha256(data: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', asBytes(data)));
}

/** SHA-384 (FIPS 180-4). */
export async function sha384(data: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-384', asBytes(data)));
}
