import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './places.ts';

/** The model that comes with Cloister, and what a manifest says of it. */
export interface LocalModel {
  readonly name: string;
  readonly version: string;
  readonly model: Uint8Array;
  readonly contract: Uint8Array;
  /** SHA-256 of the model file and of its contract, lower hex. */
  readonly digest: string;
  readonly contractDigest: string;
}

/** Reads the model and its contract from the project's `models/`. */
export function readLocalModel(): LocalModel {
  const folder = join(ROOT, 'models', 'cxr-pneumonia-cam');
  const model = readFileSync(join(folder, 'model.onnx'));
  const contract = readFileSync(join(folder, 'contract.json'));
  return {
    name: 'cxr-pneumonia-cam',
    version: '1',
    model,
    contract,
    digest: sha256(model),
    contractDigest: sha256(contract),
  };
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
