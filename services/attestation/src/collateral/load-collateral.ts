import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { intelCollateralOf, type IntelCollateral } from '@cloister/attestation';
import { MalformedError, parseJsonObject } from '@cloister/bytes';
import { ConfigError, errorCode } from '@cloister/service';

/**
 * Collateral from a file, or from all `.json` files of a folder: each holds one `endorsements`
 * object of design 3.7, as `GET /collateral/{sgx|tdx}` answers it.
 */
export async function loadCollateral(path: string): Promise<IntelCollateral[]> {
  try {
    const names = (await stat(path)).isDirectory()
      ? (await readdir(path))
          .filter((name) => name.endsWith('.json'))
          .toSorted()
          .map((name) => join(path, name))
      : [path];
    return await Promise.all(
      names.map(async (name) =>
        intelCollateralOf(parseJsonObject(await readFile(name, 'utf8'), 'collateral')),
      ),
    );
  } catch (error) {
    const why = error instanceof MalformedError ? error.where : errorCode(error);
    throw new ConfigError(`collateral: ${why}`, { cause: error });
  }
}
