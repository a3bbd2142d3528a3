import type { useTranslation } from 'react-i18next';

/** A party of the manifest in the reader's language; parties that we have no word for, as they are. */
export function partyName(party: string, t: ReturnType<typeof useTranslation>['t']): string {
  return party === 'hospital' || party === 'platform' || party === 'diagnostics'
    ? t(`party.${party}`)
    : party;
}
