import { groupHex } from '../i18n/format.ts';

/** A hash in groups, so that two of them can be compared by eye; copied without the gaps. */
export function Hash({ hex, testId }: { hex: string; testId?: string }) {
  return (
    <code className="hash" data-testid={testId} data-hash={hex}>
      {groupHex(hex).map((group, i) => (
        <span key={i}>{group}</span>
      ))}
    </code>
  );
}
