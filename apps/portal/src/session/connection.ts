import type { Bytes } from '@cloister/bytes';
import type { TrustedManifest, VerifiedPeer } from '@cloister/attestation';
import { createChannel, type ChannelFetch, type Fetch } from '@cloister/channel';
import { createRecordsClient, type RecordsClient } from '@cloister/client';
import { guardSending } from './guard-sending.ts';

/** Who was verified, and by what. */
export interface Verified {
  readonly peer: VerifiedPeer;
  readonly manifest: TrustedManifest;
}

/** What a connection needs: a verified peer, and the page's own means. */
export interface ConnectionOptions extends Verified {
  /** Base URL of records. */
  readonly url: string;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** Runs the gate again when the service has changed its keys; throws where it does not pass. */
  readonly verifyAgain: () => Promise<VerifiedPeer>;
  /** What may not be sent now: nothing of what somebody enters, or nothing at all. */
  readonly stopped: () => 'input' | 'all' | undefined;
}

/** A channel into the verified enclave: there is no other way to send anything to records. */
export interface Connection {
  /** By what the platform was verified last. */
  readonly manifest: TrustedManifest;
  readonly records: RecordsClient;
  /** A client of the same session that sends over another transport, as long as sending is allowed. */
  readonly over: (transport: Fetch) => RecordsClient;
  /** Goes on with the platform as it was verified now; whoever is signed in stays so. */
  readonly renew: (verified: Verified) => void;
  /** Breaks off what is being sent over other transports. */
  readonly breakOff: () => void;
}

/** Opens the channel over a verified peer, with the KEMs that the manifest allows. */
export function openConnection(options: ConnectionOptions): Connection {
  let verified: Verified = options;
  let sending = new AbortController();
  const channelOver = (transport: Fetch): ChannelFetch => {
    const { peer, manifest } = verified;
    const kems = manifest.manifest.services[peer.service]?.config?.kems;
    const channel = createChannel({
      peer,
      url: `${options.url}/.well-known/ohttp-gateway`,
      transport,
      now: options.now,
      random: options.random,
      ...(kems === undefined ? {} : { kems }),
      onStaleKey: options.verifyAgain,
    });
    return guardSending(channel, options.stopped);
  };
  let channel = channelOver(options.transport);
  const records = createRecordsClient((request) => channel(request));
  return {
    get manifest() {
      return verified.manifest;
    },
    records,
    over: (transport) =>
      records.over(
        channelOver((request) => {
          const signal = AbortSignal.any([request.signal, sending.signal]);
          return transport(new Request(request, { signal }));
        }),
      ),
    renew(next) {
      verified = next;
      channel = channelOver(options.transport);
    },
    breakOff() {
      sending.abort();
      sending = new AbortController();
    },
  };
}
