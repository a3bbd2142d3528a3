import { DER, encodeDer, encodeDerInteger, encodeDerOid, type Bytes } from '@cloister/bytes';
import type { ExtensionInput } from '@cloister/crypto';

const SGX_EXTENSION = '1.2.840.113741.1.13.1';

/** What Intel writes about a platform into its PCK certificate (spec/evidence.md 2.4). */
export interface PckFacts {
  readonly ppid: Bytes;
  /** 16 numbers; CPUSVN is the same bytes. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  readonly pceId: Bytes;
  readonly fmspc: Bytes;
  readonly platformInstanceId: Bytes;
}

/** The SGX extension of a PCK certificate as the Platform CA issues it: seven entries. */
export function pckExtension(facts: PckFacts): ExtensionInput {
  const components = facts.components.map((svn, i) =>
    entry(`2.${i + 1}`, encodeDerInteger(Uint8Array.of(svn))),
  );
  const pceSvn = encodeDerInteger(Uint8Array.of(facts.pceSvn >> 8, facts.pceSvn & 0xff));
  const cpuSvn = encodeDer(DER.OCTET_STRING, Uint8Array.from(facts.components));
  return {
    oid: SGX_EXTENSION,
    value: encodeDer(
      DER.SEQUENCE,
      entry('1', encodeDer(DER.OCTET_STRING, facts.ppid)),
      entry(
        '2',
        encodeDer(DER.SEQUENCE, ...components, entry('2.17', pceSvn), entry('2.18', cpuSvn)),
      ),
      entry('3', encodeDer(DER.OCTET_STRING, facts.pceId)),
      entry('4', encodeDer(DER.OCTET_STRING, facts.fmspc)),
      entry('5', encodeDer(DER.ENUMERATED, Uint8Array.of(1))),
      entry('6', encodeDer(DER.OCTET_STRING, facts.platformInstanceId)),
      entry(
        '7',
        encodeDer(
          DER.SEQUENCE,
          entry('7.1', flag(true)),
          entry('7.2', flag(false)),
          entry('7.3', flag(true)),
        ),
      ),
    ),
  };
}

function flag(value: boolean): Bytes {
  return encodeDer(DER.BOOLEAN, Uint8Array.of(value ? 0xff : 0));
}

function entry(suffix: string, value: Bytes): Bytes {
  return encodeDer(DER.SEQUENCE, encodeDerOid(`${SGX_EXTENSION}.${suffix}`), value);
}
