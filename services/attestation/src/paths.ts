import { ATTEST_KINDS, POLICY_TYPES } from './kinds.ts';

/** Every path of this service with the methods it has, apart from what all services have. */
export const OPERATIONS: ReadonlyMap<string, readonly string[]> = new Map<string, string[]>([
  ...[...ATTEST_KINDS, 'AzureGuest', 'Tpm'].map((kind): [string, string[]] => [
    `/attest/${kind}`,
    ['POST'],
  ]),
  ...POLICY_TYPES.flatMap((type): [string, string[]][] => [
    [`/policies/${type}`, ['GET', 'PUT']],
    [`/policies/${type}:reset`, ['POST']],
  ]),
  ['/certificates', ['GET']],
  ['/certificates:add', ['POST']],
  ['/certificates:remove', ['POST']],
  ['/certs', ['GET']],
  ['/.well-known/openid-configuration', ['GET']],
  ['/tcbbaselines/SgxEnclave', ['GET']],
  ['/tcbbaselines/OpenEnclave', ['GET']],
  ['/tcbbaselines/TdxVm', ['GET']],
  ['/explain', ['POST']],
  ['/keys:rotate', ['POST']],
  ['/audit', ['GET']],
  ['/collateral/sgx', ['GET']],
  ['/collateral/tdx', ['GET']],
  ['/collateral/snp', ['GET']],
  ['/openapi.json', ['GET']],
]);

const CANONICAL = new Map(Array.from(OPERATIONS.keys(), (path) => [path.toLowerCase(), path]));

/** The path as it is declared: clients write it in any case (spec/azure-attestation.md 1.1). */
export function canonicalPath(path: string): string {
  return CANONICAL.get(path.toLowerCase().replace('%3a', ':')) ?? path;
}

/** The methods of a declared path; undefined where there is none. */
export function methodsOf(path: string): readonly string[] | undefined {
  return OPERATIONS.get(canonicalPath(path));
}
