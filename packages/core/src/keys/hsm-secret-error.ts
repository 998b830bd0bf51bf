/**
 * Why an `hsm_secret` could not be opened. Each error carries what an hsmd answers to INIT in that case: the fields
 * of `hsmd_init_reply_failure` (115) and the exit status that follows, as recorded from CLN v26.06.
 */
import { CountersignError } from '@countersign/bitcoin';

/** Why an `hsm_secret` does not open. Stable, for programs. */
export type HsmSecretFault =
  | 'passphrase-required'
  | 'passphrase-not-needed'
  | 'wrong-passphrase'
  | 'invalid-mnemonic'
  | 'seed-derivation-failed'
  | 'invalid-format';

/** `error_code` of message 115 (CLN `enum hsm_secret_error`) and the text that follows "Failed to load hsm_secret: ". */
const WIRE: Readonly<Record<HsmSecretFault, readonly [errorCode: number, text: string]>> = {
  'passphrase-required': [1, 'Passphrase required but not provided'],
  'passphrase-not-needed': [2, 'Passphrase provided but not needed'],
  'wrong-passphrase': [3, 'Wrong passphrase'],
  'invalid-mnemonic': [4, 'Invalid mnemonic'],
  'seed-derivation-failed': [6, 'Could not derive seed from mnemonic'],
  'invalid-format': [7, 'Invalid hsm_secret format'],
};

/** What to send as message 115, and how the process ends after it. */
export interface InitFailure {
  /** u32. */
  readonly errorCode: number;
  /** wirestring, without its NUL. */
  readonly errorMessage: string;
  /** 0: exit quietly (the user mistyped). 242: send STATUS_FAIL (internal error) with the same text first. */
  readonly exitStatus: 0 | 242;
}

/** An `hsm_secret` that does not open. Never says anything of its content. */
export class HsmSecretError extends CountersignError {
  readonly fault: HsmSecretFault;
  readonly initFailure: InitFailure;

  constructor(fault: HsmSecretFault, options?: { cause?: unknown }) {
    const [errorCode, text] = WIRE[fault];
    const errorMessage = `Failed to load hsm_secret: ${text}`;
    super(`hsm-secret-${fault}`, errorMessage, { error_code: errorCode }, options);
    this.name = 'HsmSecretError';
    this.fault = fault;
    this.initFailure = { errorCode, errorMessage, exitStatus: fault === 'wrong-passphrase' ? 0 : 242 };
  }
}
