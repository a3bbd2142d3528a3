/** A date and time as the language writes it: 2026年11月24日 15:03. */
export function formatDateTime(time: Date | string, language: string): string {
  const date = typeof time === 'string' ? new Date(time) : time;
  if (Number.isNaN(date.getTime())) return typeof time === 'string' ? time : '';
  const day: Intl.DateTimeFormatOptions =
    language === 'zh-CN'
      ? { year: 'numeric', month: 'long', day: 'numeric' }
      : { year: 'numeric', month: 'short', day: 'numeric' };
  return new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, {
    ...day,
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  }).format(date);
}

/** A FHIR date (also a partial one) as the language writes it; no time zone moves the day. */
export function formatDate(date: string, language: string): string {
  const match = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(date);
  if (match === null) return date;
  const [, year, month, day] = match;
  const locale = language === 'en' ? 'en-GB' : language;
  const options: Intl.DateTimeFormatOptions = {
    timeZone: 'UTC',
    year: 'numeric',
    ...(month === undefined ? {} : { month: language === 'zh-CN' ? 'long' : 'short' }),
    ...(day === undefined ? {} : { day: 'numeric' }),
  };
  const at = Date.UTC(Number(year), Number(month ?? 1) - 1, Number(day ?? 1));
  return new Intl.DateTimeFormat(locale, options).format(at);
}

/** An age on a day: in years, below two years in months. Nothing for partial or future dates. */
export function ageOn(
  birthDate: string | undefined,
  today: Date,
): { unit: 'years' | 'months'; count: number } | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(birthDate ?? '');
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  let months = (today.getFullYear() - year) * 12 + (today.getMonth() + 1 - month);
  if (today.getDate() < day) months -= 1;
  if (months < 0) return undefined;
  return months < 24
    ? { unit: 'months', count: months }
    : { unit: 'years', count: Math.floor(months / 12) };
}

/** How long ago, in words: "2 minutes ago". */
export function formatAgo(then: Date, now: Date, language: string): string {
  const seconds = Math.min(0, Math.round((then.getTime() - now.getTime()) / 1000));
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  if (seconds > -60) return format.format(0, 'second');
  if (seconds > -3600) return format.format(Math.ceil(seconds / 60), 'minute');
  return format.format(Math.ceil(seconds / 3600), 'hour');
}

/** A score with three digits, as the model gave it. */
export function formatScore(score: number, language: string): string {
  return new Intl.NumberFormat(language, {
    minimumFractionDigits: 3,
    maximumFractionDigits: 3,
  }).format(score);
}

/** A number of bytes, in kB or MB. */
export function formatBytes(bytes: number, language: string): string {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : [bytes / 1e6, 'MB'];
  const digits = bytes < 1e6 ? 0 : 1;
  const format = new Intl.NumberFormat(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${format.format(value)} ${unit}`;
}

/** A hash in groups of eight, to be compared by eye. */
export function groupHex(hex: string): string[] {
  return hex.match(/.{1,8}/g) ?? [];
}
