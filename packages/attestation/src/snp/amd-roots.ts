import type { SnpProduct } from './tcb.ts';

/** The root of a product line (ARK), by SHA-256 of its SubjectPublicKeyInfo. */
export interface AmdRoot {
  readonly product: SnpProduct;
  readonly spkiSha256: string;
}

/**
 * AMD's roots (spec/evidence.md 9.5). The certificates come with the evidence: what counts is that
 * their keys have these digests.
 */
export const AMD_ROOTS: readonly AmdRoot[] = [
  {
    product: 'Milan',
    spkiSha256: '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9',
  },
  {
    product: 'Genoa',
    spkiSha256: '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831',
  },
  {
    product: 'Turin',
    spkiSha256: '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08',
  },
];

/**
 * AMD's intermediate certificates (ASK and ASVK), by SHA-256 of their DER. One of these needs no
 * ARK beside it: that the ARK signed it is known. Others count if the ARK is there and signed them.
 */
export const AMD_INTERMEDIATES: ReadonlyMap<string, SnpProduct> = new Map([
  ['67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b', 'Milan'],
  ['c5e081f59b7efab1fe2f8b505e159704e72f29cab7ef7cf628a05a42439082f5', 'Milan'],
  ['5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521', 'Genoa'],
  ['197e610743a917d6b9bb982a5a9226ccc0a15b611be0619e626aca9151457372', 'Genoa'],
  ['5b77ef5fe7a7a004fd9032668fba9d0fda22f88c4442069a479636a6ae3b3185', 'Turin'],
  ['104e10a8bd060a3c20a434261a57d0588fd65a88915b4f65b08bdecaf8df1a3c', 'Turin'],
]);
