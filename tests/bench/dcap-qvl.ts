import { encodeHex } from '@cloister/bytes';
import * as peer from '@phala/dcap-qvl';
import type { IntelSubject } from './intel-subject.ts';
import type { Task } from './measure.ts';

/** The JavaScript peer at the same quote. */
export function createDcapQvl({ quote, collateral, at }: IntelSubject): Task {
  const tcb = splitEnvelope(collateral.tcbInfo, 'tcbInfo');
  const qe = splitEnvelope(collateral.qeIdentity, 'enclaveIdentity');
  const input = {
    pck_crl_issuer_chain: '', // it verifies no CRL, so it needs none
    root_ca_crl: encodeHex(collateral.rootCaCrl),
    pck_crl: encodeHex(collateral.pckCrl),
    tcb_info_issuer_chain: collateral.tcbInfoChain,
    tcb_info: tcb.body,
    tcb_info_signature: tcb.signature,
    qe_identity_issuer_chain: collateral.qeIdentityChain,
    qe_identity: qe.body,
    qe_identity_signature: qe.signature,
  };
  const raw = Buffer.from(quote);
  return () => {
    try {
      return peer.verify(raw, input, at.getTime() / 1000).status !== 'Revoked';
    } catch {
      return false; // it says no by throwing
    }
  };
}

/** An envelope in the peer's form: body and signature apart. */
function splitEnvelope(text: string, member: string): { body: string; signature: string } {
  const signature = /"signature":"([0-9a-f]+)"/.exec(text)?.[1] ?? '';
  const body = text.slice(`{"${member}":`.length, text.lastIndexOf(',"signature"'));
  return { body, signature };
}
