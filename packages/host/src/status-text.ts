/** Texts as they may stand in a message to lightningd: its log, a refusal, the failure of a start. */
export {
  printableText as statusText,
  SIGNER_ERROR_BYTES_MAX as LOG_TEXT_BYTES_MAX,
} from '@countersign/wire';
