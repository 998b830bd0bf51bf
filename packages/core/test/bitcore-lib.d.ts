/** What the tests use of bitcore-lib, which has no types of its own. */
declare module 'bitcore-lib' {
  class Script {
    constructor(bytes?: Buffer);
  }
  class Transaction {
    constructor(hex: string);
  }
  class Interpreter {
    readonly errstr: string;
    verify(
      scriptSig: Script,
      scriptPubkey: Script,
      tx: Transaction,
      inputIndex: number,
      flags: number,
      witness: readonly Buffer[],
      satoshis: number,
    ): boolean;
    static readonly SCRIPT_VERIFY_P2SH: number;
    static readonly SCRIPT_VERIFY_STRICTENC: number;
    static readonly SCRIPT_VERIFY_DERSIG: number;
    static readonly SCRIPT_VERIFY_LOW_S: number;
    static readonly SCRIPT_VERIFY_NULLDUMMY: number;
    static readonly SCRIPT_VERIFY_MINIMALDATA: number;
    static readonly SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY: number;
    static readonly SCRIPT_VERIFY_CHECKSEQUENCEVERIFY: number;
    static readonly SCRIPT_VERIFY_WITNESS: number;
    static readonly SCRIPT_VERIFY_MINIMALIF: number;
    static readonly SCRIPT_VERIFY_NULLFAIL: number;
    static readonly SCRIPT_VERIFY_WITNESS_PUBKEYTYPE: number;
  }
  const bitcore: {
    readonly Script: typeof Script & { readonly Interpreter: typeof Interpreter };
    readonly Transaction: typeof Transaction;
  };
  export default bitcore;
}
