/**
 * Bitcoin's script rules as an independent library has them (bitcore-lib, a port of Bitcoin Core's interpreter): whether
 * a signed input may spend an output, with the flags that nodes relay by. (Its CLEANSTACK looks at the stack outside of the
 * witness and always fails for one; inside, BIP 141 demands a clean stack anyway.)
 */
import { parseTransaction, type TxOutput, toHex } from '@countersign/bitcoin';
import bitcore from 'bitcore-lib';

const { Interpreter } = bitcore.Script;
const FLAGS =
  Interpreter.SCRIPT_VERIFY_P2SH |
  Interpreter.SCRIPT_VERIFY_STRICTENC |
  Interpreter.SCRIPT_VERIFY_DERSIG |
  Interpreter.SCRIPT_VERIFY_LOW_S |
  Interpreter.SCRIPT_VERIFY_NULLDUMMY |
  Interpreter.SCRIPT_VERIFY_MINIMALDATA |
  Interpreter.SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY |
  Interpreter.SCRIPT_VERIFY_CHECKSEQUENCEVERIFY |
  Interpreter.SCRIPT_VERIFY_WITNESS |
  Interpreter.SCRIPT_VERIFY_MINIMALIF |
  Interpreter.SCRIPT_VERIFY_NULLFAIL |
  Interpreter.SCRIPT_VERIFY_WITNESS_PUBKEYTYPE;

/** What is wrong with an input of the raw transaction, by the interpreter's code; null when it is valid. */
export function scriptFault(raw: Uint8Array, inputIndex: number, spent: TxOutput): string | null {
  const witness = parseTransaction(raw).inputs[inputIndex]!.witness.map((item) => Buffer.from(item));
  const interpreter = new Interpreter();
  const isValid = interpreter.verify(
    new bitcore.Script(),
    new bitcore.Script(Buffer.from(spent.script)),
    new bitcore.Transaction(toHex(raw)),
    inputIndex,
    FLAGS,
    witness,
    Number(spent.value),
  );
  return isValid ? null : interpreter.errstr || 'false on the stack';
}
