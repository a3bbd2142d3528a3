import { MalformedError } from '@cloister/bytes';

/** PS3.3 C.12.1.1.2: defined terms of Specific Character Set and the decoder's name for each. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['', 'latin1'],
  ['IR 6', 'latin1'],
  ['IR 100', 'latin1'],
  ['IR 101', 'iso-8859-2'],
  ['IR 109', 'iso-8859-3'],
  ['IR 110', 'iso-8859-4'],
  ['IR 126', 'iso-8859-7'],
  ['IR 127', 'iso-8859-6'],
  ['IR 138', 'iso-8859-8'],
  ['IR 144', 'iso-8859-5'],
  ['IR 148', 'windows-1254'],
  ['IR 166', 'windows-874'],
  ['IR 13', 'shift_jis'],
  ['IR 87', 'iso-2022-jp'],
  ['IR 159', 'iso-2022-jp'],
  ['IR 149', 'euc-kr'],
  ['IR 58', 'gbk'],
  ['IR 192', 'utf-8'],
  ['GB18030', 'gb18030'],
  ['GBK', 'gbk'],
]);
const ESCAPE = String.fromCharCode(0x1b);
/** ISO 2022 escapes to G1, which these decoders do not need: in the high half there is one set. */
const ESCAPES = new RegExp(String.raw`${ESCAPE}(?:[()*+.\/\-][A-Z0-9]|\$[()*+.\/\-]?[A-Z@])`, 'g');

/** Decodes text of a data set; terms are the values of (0008,0005), the last of which extends. */
export function createTextDecoder(terms: readonly string[]): (bytes: Uint8Array) => string {
  const names = terms.map((term) => term.trim().replace(/^ISO[_ -](?:2022 )?/, ''));
  // With code extensions the later terms name the sets that escapes switch to.
  const label = LABELS.get(names.findLast((name) => name !== '') ?? '');
  if (label === undefined) throw new MalformedError('bad_value', 'DICOM specific character set');
  const decoder = new TextDecoder(label, { fatal: label === 'utf-8' });
  const keepsEscapes = label === 'iso-2022-jp';
  return (bytes) => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch (cause) {
      throw new MalformedError('bad_value', 'DICOM text', { cause });
    }
    // Values are padded to even length with a space or NUL (PS3.5 6.2).
    return (keepsEscapes ? text : text.replaceAll(ESCAPES, '')).replace(/[\0 ]+$/, '');
  };
}
