import type { Bytes } from '@cloister/bytes';
import type { TrustedManifest, VerifiedPeer } from '@cloister/attestation';
import { createChannel, type Fetch } from '@cloister/channel';
import { createRecordsClient, type RecordsClient } from '@cloister/client';

/** What a connection needs: a verified peer, and the page's own means. */
export interface ConnectionOptions {
  readonly peer: VerifiedPeer;
  readonly manifest: TrustedManifest;
  /** Base URL of records. */
  readonly url: string;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** Runs the gate again when the service has changed its keys; throws where it does not pass. */
  readonly verifyAgain: () => Promise<VerifiedPeer>;
}

/** A channel into the verified enclave: there is no other way to send anything to records. */
export interface Connection {
  readonly peer: VerifiedPeer;
  readonly manifest: TrustedManifest;
  readonly records: RecordsClient;
  /** A client for one exchange that tells when its request has been encrypted and goes out. */
  readonly watched: (onSending: () => void) => RecordsClient;
}

/** Opens the channel over a verified peer, with the KEMs that the manifest allows. */
export function openConnection(options: ConnectionOptions): Connection {
  const { peer, manifest, now, random, verifyAgain } = options;
  const kems = manifest.manifest.services[peer.service]?.config?.kems;
  const channelOver = (transport: Fetch): Fetch =>
    createChannel({
      peer,
      url: `${options.url}/.well-known/ohttp-gateway`,
      transport,
      now,
      random,
      ...(kems === undefined ? {} : { kems }),
      onStaleKey: verifyAgain,
    });
  const records = createRecordsClient(channelOver(options.transport));
  return {
    peer,
    manifest,
    records,
    watched: (onSending) =>
      records.over(
        channelOver((request) => {
          onSending();
          return options.transport(request);
        }),
      ),
  };
}
