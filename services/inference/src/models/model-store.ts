import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '@cloister/attestation';
import { decodeUtf8, encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import { parseModelContract, type ModelContract } from '@cloister/clinical';
import { sha256 } from '@cloister/crypto';
import { openBytes, TamperedError } from '@cloister/sealing';
import { inspectOnnx } from './inspect-onnx.ts';

/** A model that may be served: its bytes were compared with the manifest. */
export interface StoredModel {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of the model file, lower hex: as in the manifest. */
  readonly digest: string;
  readonly contract: ModelContract;
  /** SHA-256 of the contract, lower hex: as in the manifest. */
  readonly contractDigest: string;
  /** The contract as it stands in the store: its digest is in the manifest too. */
  readonly contractText: string;
  /** Reads, opens and checks the file; whoever asked overwrites it after use. */
  readonly open: () => Promise<Bytes>;
}

/** Why a model of the manifest is not served. */
export type ModelRefusal =
  | 'key_missing'
  | 'file_missing'
  | 'file_tampered'
  | 'digest_mismatch'
  | 'contract_missing'
  | 'contract_mismatch'
  | 'contract_invalid'
  | 'model_invalid'
  /** The manifest in force names it no longer, or with another digest. */
  | 'not_agreed'
  /** The manifest in force names it since this process has started. */
  | 'not_loaded';

/** Thrown where a model may not be loaded. */
class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelRefusal;

  constructor(code: ModelRefusal, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
  }
}

/** What of the manifest's models can be served, and what cannot. */
export interface ModelStore {
  readonly models: readonly StoredModel[];
  readonly refused: readonly {
    readonly name: string;
    readonly version: string;
    readonly code: ModelRefusal;
  }[];
}

/** What `sealBytes` and `openBytes` take as `info` for a model. */
export function modelInfo(name: string, version: string): string {
  return `model/${name}/${version}`;
}

/**
 * Opens the models that the manifest names, and no others (design 3.5): each sealed file is opened
 * in memory, its SHA-256 compared with the manifest *before* anything parses it.
 */
export async function openModelStore(options: {
  readonly folder: string | undefined;
  readonly models: Manifest['models'];
  /** The `model-key`; undefined where the secret is missing. */
  readonly key: Bytes | undefined;
}): Promise<ModelStore> {
  const models: StoredModel[] = [];
  const refused: { name: string; version: string; code: ModelRefusal }[] = [];
  for (const [name, versions] of Object.entries(options.models ?? {})) {
    for (const [version, { digest, contract }] of Object.entries(versions)) {
      try {
        const place = { folder: options.folder, name, version };
        // One after the other: each is whole in memory for a moment.
        // oxlint-disable-next-line no-await-in-loop -- see above
        models.push(await openModel(place, digest, contract, options.key));
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        refused.push({ name, version, code: error.code });
      }
    }
  }
  return { models, refused };
}

interface Place {
  readonly folder: string | undefined;
  readonly name: string;
  readonly version: string;
}

async function openModel(
  place: Place,
  digest: string,
  contractDigest: string,
  key: Bytes | undefined,
): Promise<StoredModel> {
  const { name, version } = place;
  const contractText = await readContract(place, contractDigest);
  const open = async (): Promise<Bytes> => {
    if (key === undefined) throw new ModelError('key_missing');
    const bytes = await openSealed(place, key);
    if (encodeHex(await sha256(bytes)) !== digest) {
      bytes.fill(0);
      throw new ModelError('digest_mismatch');
    }
    return bytes;
  };
  const bytes = await open();
  try {
    inspectOnnx(bytes);
  } catch (cause) {
    throw new ModelError('model_invalid', { cause });
  } finally {
    bytes.fill(0);
  }
  return {
    name,
    version,
    digest,
    contract: parseContract(place, contractText),
    contractDigest,
    contractText,
    open,
  };
}

async function openSealed(place: Place, key: Bytes): Promise<Bytes> {
  const sealed = await read(place, 'model.sealed', 'file_missing');
  try {
    return await openBytes(key, sealed, modelInfo(place.name, place.version));
  } catch (cause) {
    if (cause instanceof TamperedError || cause instanceof MalformedError) {
      throw new ModelError('file_tampered', { cause });
    }
    throw cause;
  }
}

async function readContract(place: Place, digest: string): Promise<string> {
  const bytes = await read(place, 'contract.json', 'contract_missing');
  if (encodeHex(await sha256(bytes)) !== digest) throw new ModelError('contract_mismatch');
  return decodeUtf8(bytes, 'model contract');
}

function parseContract({ name, version }: Place, text: string): ModelContract {
  try {
    const contract = parseModelContract(text);
    if (contract.model === name && contract.version === version) return contract;
  } catch (cause) {
    throw new ModelError('contract_invalid', { cause });
  }
  throw new ModelError('contract_invalid');
}

async function read(place: Place, file: string, missing: ModelRefusal): Promise<Bytes> {
  const { folder, name, version } = place;
  if (folder === undefined) throw new ModelError(missing);
  // The manifest's names are identifiers; a path separator in one would leave the folder.
  if (!/^[\w.-]+$/.test(name) || !/^[\w.-]+$/.test(version) || /^\.+$/.test(name + version)) {
    throw new ModelError(missing);
  }
  try {
    return new Uint8Array(await readFile(join(folder, name, version, file)));
  } catch (cause) {
    throw new ModelError(missing, { cause });
  }
}
