import { MalformedError, parseJsonObject, sliceJsonMember } from '@cloister/bytes';

/** `cloister.json`, which stands beside the page: addresses, and the signed manifest. */
export interface Settings {
  /** Base URL of records. */
  readonly records: string;
  /** Base URL of the attestation service. */
  readonly attestation: string;
  /** Base URL of the hospital's own key broker; needed where the manifest names one. */
  readonly broker?: string;
  /** The manifest file as it stands there: nothing in it counts before it is verified. */
  readonly manifestFile: string;
}

/** Reads `cloister.json`; addresses must be https, or http on this machine. */
export function parseSettings(text: string): Settings {
  const json = parseJsonObject(text, 'settings');
  return {
    records: addressOf(json['records'], 'records'),
    attestation: addressOf(json['attestation'], 'attestation'),
    ...(json['broker'] === undefined ? {} : { broker: addressOf(json['broker'], 'broker') }),
    manifestFile: sliceJsonMember(text, 'manifest', 'settings'),
  };
}

function addressOf(value: unknown, member: string): string {
  const fail = (): never => {
    throw new MalformedError('bad_value', `settings: ${member}`);
  };
  if (typeof value !== 'string' || !URL.canParse(value)) return fail();
  const { protocol, hostname, username, search, hash } = new URL(value);
  const local = hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]';
  const safe = protocol === 'https:' || (protocol === 'http:' && local);
  return safe && username === '' && search === '' && hash === ''
    ? value.replace(/\/+$/, '')
    : fail();
}
