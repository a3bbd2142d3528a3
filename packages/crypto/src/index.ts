export {
  aesKeyUnwrap,
  aesKeyUnwrapPadded,
  aesKeyWrap,
  aesKeyWrapPadded,
} from './aes-key-wrap.ts';
export { sha256, sha384 } from './digest.ts';
export { ecdsaDerToRaw, ecdsaRawToDer } from './ecdsa-signature.ts';
export * from './hpke/index.ts';
export { decryptJwe, encryptJwe, type JweCode, type JweResult } from './jose/jwe.ts';
export { jwkFromSpki, jwkThumbprint, parseJwk, spkiFromJwk, type Jwk } from './jose/jwk.ts';
export {
  parseJws,
  signJws,
  verifyJws,
  type JwsAlgorithm,
  type JwsCode,
  type JwsVerdict,
  type ParsedJws,
} from './jose/jws.ts';
export {
  merkleConsistencyProof,
  merkleInclusionProof,
  merkleLeafHash,
  merkleRoot,
  merkleTree,
  type MerkleTree,
  verifyMerkleConsistency,
  verifyMerkleInclusion,
} from './merkle.ts';
export {
  alternativeNamesExtension,
  readAlternativeNames,
  type AlternativeNames,
} from './x509/alternative-names.ts';
export {
  parseCertificate,
  parseCertificateChain,
  verifyCertificateSignature,
  type Certificate,
} from './x509/certificate.ts';
export {
  parseCertificationRequest,
  verifyCertificationRequest,
  type CertificationRequest,
} from './x509/certification-request.ts';
export {
  createCertificationRequest,
  type CertificationRequestInput,
} from './x509/create-certification-request.ts';
export { createCertificate, type CertificateInput } from './x509/create-certificate.ts';
export { createCrl, type CrlInput, type RevokedInput } from './x509/create-crl.ts';
export { parseCrl, verifyCrlSignature, type Crl } from './x509/crl.ts';
export {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  dnsNamesExtension,
  extendedKeyUsageExtension,
  keyIdentifier,
  keyUsageExtension,
  subjectKeyIdentifierExtension,
  type ExtensionInput,
  type KeyPurpose,
} from './x509/encode-extensions.ts';
export {
  EXTENSION,
  type BasicConstraints,
  type Extension,
  type Extensions,
  type KeyUsage,
} from './x509/extensions.ts';
export { encodeName, type NameAttribute } from './x509/name.ts';
export {
  checkCrl,
  checkPath,
  checkValidity,
  isRevoked,
  verifyPath,
  type PathCode,
  type PathOptions,
  type PathProblem,
} from './x509/path.ts';
export {
  encodePublicKey,
  parsePublicKey,
  type NamedCurve,
  type PublicKeyInfo,
} from './x509/public-key.ts';
export type { SignatureAlgorithm } from './x509/signature-algorithm.ts';
export {
  createKeyCache,
  importVerifyKey,
  verifySignature,
  type KeyCache,
} from './x509/verify-key.ts';
