/**
 * BIP 325: a block of signet carries a solution of the signet's challenge in its coinbase. Checked for challenges of the default
 * signet's form, one signature of several keys; what the solution signs is the block without it.
 */
import {
  ByteReader,
  ByteWriter,
  commitmentIndex,
  concat,
  decodeScriptSignature,
  equalBytes,
  FormError,
  hash256,
  OP,
  type ProvenBlock,
  parseScript,
  pushData,
  readCompactSize,
  rootOfFirst,
  type Secp256k1,
  SIGHASH,
  sat,
  serializeNoWitness,
  type Transaction,
  txid,
} from '@countersign/bitcoin';

const SIGNET_HEADER = Uint8Array.of(0xec, 0xc7, 0xda, 0xa2);
const SIGNATURE_BYTES_MAX = 73;
const NO_OUTPOINT = { txid: new Uint8Array(32), vout: 0xffff_ffff };

interface Solution {
  readonly scriptSig: Uint8Array;
  /** The commitment output's script without the solution. */
  readonly unsolved: Uint8Array;
}

/** The first push that begins with the signet header and has something behind it; `FormError` without one. */
function solutionOf(script: Uint8Array): Solution {
  let solution: Uint8Array | null = null;
  const parts = parseScript(script).map(({ opcode, data }) => {
    if (data === undefined || data.length < 2) return Uint8Array.of(opcode);
    const isSolution = solution === null && data.length > 4 && equalBytes(data.subarray(0, 4), SIGNET_HEADER);
    if (isSolution) solution = data.subarray(4);
    return pushData(isSolution ? SIGNET_HEADER : data);
  });
  if (solution === null) throw new FormError('the block has no signet solution');
  return { scriptSig: scriptSigOf(solution), unsolved: concat(...parts) };
}

/** The solution is a script and a witness, as in a transaction; the default signet needs no witness. */
function scriptSigOf(solution: Uint8Array): Uint8Array {
  const reader = new ByteReader(solution);
  const scriptSig = reader.take(readCompactSize(reader, 'solution'), 'solution');
  if (readCompactSize(reader, 'solution witness') !== 0)
    throw new FormError('the signet solution has a witness');
  reader.end('signet solution');
  return scriptSig;
}

function oneInput(
  outpoint: { txid: Uint8Array; vout: number },
  scriptSig: Uint8Array,
  script: Uint8Array,
): Transaction {
  return {
    version: 0,
    inputs: [{ ...outpoint, scriptSig, sequence: 0, witness: [] }],
    outputs: [{ value: sat(0), script }],
    locktime: 0,
  };
}

/** The block as it was before the solution was put in: version, parent, merkle root, time. */
function signedBlock(block: ProvenBlock, unsolved: Uint8Array): Uint8Array {
  const at = commitmentIndex(block.coinbase);
  const { version, inputs, outputs, locktime } = block.coinbase;
  const changed = outputs.map((output, i) => (i === at ? { value: output.value, script: unsolved } : output));
  const root = rootOfFirst(txid({ version, inputs, outputs: changed, locktime }), block.coinbaseBranch);
  const { header } = block;
  return new ByteWriter(72)
    .i32le(header.version)
    .put(header.previous)
    .put(root)
    .u32le(header.timeSeconds)
    .finish();
}

/** The signature hash of transactions before segwit, SIGHASH_ALL, one input, bare script. */
function signatureHash(signed: Uint8Array, challenge: Uint8Array): Uint8Array {
  const toSpend = oneInput(NO_OUTPOINT, concat(Uint8Array.of(OP.OP_0), pushData(signed)), challenge);
  const outpoint = { txid: txid(toSpend), vout: 0 };
  const toSign = oneInput(outpoint, challenge, Uint8Array.of(OP.OP_RETURN));
  return hash256(serializeNoWitness(toSign), Uint8Array.of(SIGHASH.ALL, 0, 0, 0));
}

/** OP_1 <key> … OP_n OP_CHECKMULTISIG: the keys. */
const keysOf = (challenge: Uint8Array): readonly Uint8Array[] =>
  parseScript(challenge).flatMap(({ data }) => (data?.length === 33 ? [data] : []));

/** Throws `FormError` unless the proven block has a solution: OP_0 and one signature by a key of the challenge. */
export function requireSignetSolution(secp: Secp256k1, challenge: Uint8Array, block: ProvenBlock): void {
  const at = commitmentIndex(block.coinbase);
  if (at === -1) throw new FormError('the block has no signet solution');
  const { scriptSig, unsolved } = solutionOf(block.coinbase.outputs[at]!.script);
  const length = scriptSig[1];
  if (scriptSig[0] !== OP.OP_0 || length === undefined || length > SIGNATURE_BYTES_MAX)
    throw new FormError('the signet solution is not one signature');
  if (scriptSig.length !== 2 + length) throw new FormError('the signet solution is not one signature');
  const { signature, sighashType } = decodeScriptSignature(scriptSig.subarray(2));
  if (sighashType !== SIGHASH.ALL) throw new FormError('the signet solution does not sign the whole block');
  const digest = signatureHash(signedBlock(block, unsolved), challenge);
  if (!keysOf(challenge).some((key) => secp.verifyEcdsa(digest, signature, key)))
    throw new FormError('the signet solution is not signed by a key of the signet');
}
