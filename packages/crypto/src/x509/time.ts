import { DER, encodeDer, encodeUtf8, type Bytes, type DerReader } from '@cloister/bytes';

/** Reads a Time (RFC 5280, 4.1.2.5): UTCTime or GeneralizedTime, with seconds, in Zulu. */
export function readTime(reader: DerReader): Date {
  const { tag, value } = reader.next();
  const long = tag === DER.GENERALIZED_TIME;
  if (!long && tag !== DER.UTC_TIME) reader.fail();
  if (value.length !== (long ? 15 : 13) || value[value.length - 1] !== 0x5a) reader.fail();
  const pair = (at: number): number => {
    const [tens, ones] = [(value[at] ?? 0) - 0x30, (value[at + 1] ?? 0) - 0x30];
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) reader.fail();
    return 10 * tens + ones;
  };
  const first = pair(0);
  // RFC 5280, 4.1.2.5.1: two-digit years are those from 1950 to 2049.
  const year = long ? 100 * first + pair(2) : first + (first < 50 ? 2000 : 1900);
  const at = long ? 4 : 2;
  const [month, day, hour] = [pair(at), pair(at + 2), pair(at + 4)];
  const [minute, second] = [pair(at + 6), pair(at + 8)];
  if (hour > 23 || minute > 59 || second > 59) reader.fail();
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  // A 31st of June would become the 1st of July.
  if (time.getUTCMonth() !== month - 1 || time.getUTCDate() !== day) reader.fail();
  return time;
}

/** A Time: UTCTime from 1950 to 2049, else GeneralizedTime. Milliseconds are dropped. */
export function encodeTime(time: Date): Bytes {
  const text = time.toISOString();
  if (text.length !== 24) throw new RangeError('year out of range');
  const digits = text.slice(0, 19).replaceAll(/[-T:]/g, '');
  const year = time.getUTCFullYear();
  return year >= 1950 && year <= 2049
    ? encodeDer(DER.UTC_TIME, encodeUtf8(`${digits.slice(2)}Z`))
    : encodeDer(DER.GENERALIZED_TIME, encodeUtf8(`${digits}Z`));
}
