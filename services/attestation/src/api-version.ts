import { AzureError } from './azure-error.ts';

/** The versions of the contract that are served alike (spec/azure-attestation.md 1.1). */
export const API_VERSIONS: readonly string[] = [
  '2020-10-01',
  '2022-08-01',
  '2022-09-01-preview',
  '2025-06-01',
];

/** Refuses a request whose `api-version` is missing or unknown. */
export function checkApiVersion(version: string | null | undefined): void {
  if (version === null || version === undefined)
    throw new AzureError(
      'InvalidParameter',
      'The api-version query parameter is required',
      'api_version',
    );
  if (!API_VERSIONS.includes(version))
    throw new AzureError('InvalidParameter', 'The api-version is not supported', 'api_version');
}
