/** What the codes mean that stop the line, for whoever answers for security. */
const WORDS: Readonly<Record<string, string>> = {
  manifest_mismatch:
    'it runs by another agreement (trust manifest) than the one that the hospital signed',
  own_party_missing:
    'the agreement it was started with was changed by the other parties; the hospital has not signed it, and is not bound by it',
  head_too_old:
    "its host keeps it from what the hospital's key broker said last: it may not know that something was revoked",
  head_unknown: "it names nothing that the hospital's key broker has said lately",
  log_truncated:
    "the database was put back to an older state: the hospital's key broker knows of later entries",
  broker_not_trusted:
    "what answers is a genuine key broker and not the hospital's: it does not run by the agreement that names the key of the hospital's broker, so nothing of it is installed",
  sender_foreign: "it is not signed by the key of the hospital's broker",
  measurement_not_agreed: 'other code runs than the code that was agreed on',
};

/** A code in words; empty where nobody wrote any. */
export function explainCode(code: string): string {
  return WORDS[code] ?? '';
}

/** What a process that refused to start says, in one sentence, and the code in it. */
export function readComplaint(complaint: string): {
  readonly code: string;
  readonly reason: string;
} {
  const said = complaint.split('. ')[0] ?? '';
  const code = /key broker or vault is not trusted/.test(said)
    ? 'broker_not_trusted'
    : (Object.keys(WORDS).find((known) => said.includes(known)) ?? 'refused_to_start');
  const words = explainCode(code);
  return { code, reason: words === '' ? said : `${said}: ${words}` };
}
