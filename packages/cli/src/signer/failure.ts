/** What goes wrong at the signer's machine, as a person reads it: the reason in the error's words, and what to do. */
import { CountersignError } from '@countersign/bitcoin';
import { CommandError } from '../command-error.ts';

/** By the code of the error, or by that and its reason. */
const ADVICE: Readonly<Record<string, string>> = {
  'config-invalid': 'docs/signer.md shows a whole signer.toml.',
  'seed-wrong-passphrase':
    'Type it again; there is no other way to open the seed than the right one, or the words.',
  'seed-file-newer': 'Use the release that wrote it, or a newer one.',
  'seed-file-invalid':
    'Restore the file from its backup, or make it anew from the words: signer init --import.',
  'seed-file': 'Nothing was changed. See the path and its permissions.',
  'passphrase-missing': 'Run it on a terminal, or say where the passphrase is.',
  'passphrase-unusable': 'A passphrase is one line of 1 to 1024 bytes.',
  'wrong-passphrase': 'This is the passphrase of the hsm_secret itself, as lightningd asks for it.',
  'pairing-token': 'Copy the whole line that "countersign pair" printed.',
  'pairing-refused': 'Make a new token: "countersign pair" on the node\'s machine.',
  'pairing-refused busy': 'Then bring the same token again.',
  'pairing-refused name-taken':
    '"countersign link list" on the node\'s machine shows its names, "countersign link revoke NAME" there forgets one.',
  'link-unreachable': 'Is lightningd running there, or "countersign pair --wait"? Is its address right?',
  'link-stranger': 'Somebody else answers at this address. Do not go on before you know who.',
  'pin-taken': '"countersign link list" shows whom this side knows, "countersign link revoke" forgets one.',
  'pin-unknown': '"countersign link list" shows whom this side knows.',
};

/** Runs it; every error with a code becomes one for the person who typed the command. */
export async function toldPlainly<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof CountersignError) || error instanceof CommandError) throw error;
    const { code, message, facts } = error;
    if (code === 'invariant-broken') throw error;
    const advice = ADVICE[`${code} ${facts.reason}`] ?? ADVICE[code] ?? `Nothing was changed (${code}).`;
    throw new CommandError('operation-refused', message, advice, {}, { cause: error });
  }
}
