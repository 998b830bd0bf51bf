/**
 * Bitcoin's script machine for the scripts that Lightning uses, with the rules of relay besides those of consensus:
 * minimal pushes and numbers, MINIMALIF, NULLDUMMY, NULLFAIL, low S, compressed keys. An opcode that is not here makes
 * a script invalid. Sources: Bitcoin Core `script/interpreter.cpp`, BIP 62, 65, 112, 143, 146, 147.
 */
import { equalBytes } from '../bitcoin/bytes.ts';
import { hash160, hash256, ripemd160, sha256 } from '../bitcoin/hash.ts';
import { fromScriptSignature, verify } from '../bitcoin/keys.ts';
import { opcodes as OP } from '../bitcoin/scripts.ts';
import { sighashLegacy, sighashV0 } from '../bitcoin/sighash.ts';
import type { Tx } from '../bitcoin/transaction.ts';

/** Why a script does not let an input pass. */
export class ScriptFailure extends Error {}

export interface ScriptContext {
  readonly tx: Tx;
  readonly index: number;
  /** Of the output spent. */
  readonly value: bigint;
  readonly version: 'base' | 'v0';
}

const SCRIPT_BYTES_MAX = 10_000;
const ELEMENT_BYTES_MAX = 520;
const STACK_MAX = 1000;
const LOCKTIME_THRESHOLD = 500_000_000;
const SEQUENCE_FINAL = 0xffffffff;
const SEQUENCE_DISABLED = 2 ** 31;
const SEQUENCE_IS_TIME = 1 << 22;
const SEQUENCE_MASK = 0xffff;
const MULTISIG_KEYS_MAX = 20;

const FALSE = new Uint8Array(0);
const TRUE = Uint8Array.of(1);

interface Chunk {
  readonly opcode: number;
  readonly data: Uint8Array | undefined;
}

function fail(reason: string): never {
  throw new ScriptFailure(reason);
}

/** How many bytes of length follow the opcode of a push. */
const PUSH_LENGTH_BYTES: ReadonlyMap<number, number> = new Map([
  [OP.OP_PUSHDATA1 as number, 1],
  [OP.OP_PUSHDATA2 as number, 2],
  [OP.OP_PUSHDATA4 as number, 4],
]);

function readChunks(script: Uint8Array): Chunk[] {
  if (script.length > SCRIPT_BYTES_MAX) fail('script too long');
  const chunks: Chunk[] = [];
  for (let at = 0; at < script.length; ) {
    const opcode = script[at++] as number;
    if (opcode > (OP.OP_PUSHDATA4 as number)) {
      chunks.push({ opcode, data: undefined });
      continue;
    }
    const lengthBytes = PUSH_LENGTH_BYTES.get(opcode) ?? 0;
    let length = lengthBytes === 0 ? opcode : 0;
    for (let i = 0; i < lengthBytes; i++) length += (script[at + i] ?? 0) * 256 ** i;
    at += lengthBytes;
    if (at + length > script.length) fail('push beyond the end');
    chunks.push({ opcode, data: script.subarray(at, at + length) });
    at += length;
  }
  return chunks;
}

/** MINIMALDATA: the shortest way to push these bytes. */
function isMinimalPush(opcode: number, data: Uint8Array): boolean {
  const [first] = data;
  if (first === undefined) return opcode === OP.OP_0;
  if (data.length === 1 && ((first >= 1 && first <= 16) || first === 0x81)) return false;
  if (data.length <= 75) return opcode === data.length;
  return opcode === (data.length <= 255 ? OP.OP_PUSHDATA1 : OP.OP_PUSHDATA2);
}

/** Whether a scriptSig only pushes, and what. */
export function pushesOf(script: Uint8Array): Uint8Array[] {
  return readChunks(script).map(({ opcode, data }) => {
    if (data !== undefined) return isMinimalPush(opcode, data) ? data : fail('push not minimal');
    const number = smallNumber(opcode);
    return number === undefined ? fail('scriptSig does more than push') : number;
  });
}

function smallNumber(opcode: number): Uint8Array | undefined {
  if (opcode === OP.OP_1NEGATE) return Uint8Array.of(0x81);
  const number = opcode - (OP.OP_1 as number) + 1;
  return number >= 1 && number <= 16 ? Uint8Array.of(number) : undefined;
}

const isTrue = (bytes: Uint8Array): boolean =>
  // Negative zero is false.
  bytes.some((byte, i) => byte !== 0 && !(byte === 0x80 && i === bytes.length - 1));

function decodeNumber(bytes: Uint8Array, bytesMax: number): number {
  const last = bytes.at(-1);
  if (last === undefined) return 0;
  if (bytes.length > bytesMax) fail('number too long');
  if ((last & 0x7f) === 0 && ((bytes.at(-2) ?? 0) & 0x80) === 0) fail('number not minimal');
  const magnitude = bytes.reduce(
    (sum, byte, i) => sum + (i === bytes.length - 1 ? byte & 0x7f : byte) * 256 ** i,
    0,
  );
  return (last & 0x80) === 0 ? magnitude : -magnitude;
}

function encodeNumber(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if (((bytes.at(-1) ?? 0) & 0x80) !== 0) bytes.push(0);
  return Uint8Array.from(bytes);
}

/** STRICTENC looks at the form alone; a key that is no point lets no signature pass. */
const hasKeyForm = ({ 0: first, length }: Uint8Array): boolean =>
  length === 33 ? first === 0x02 || first === 0x03 : length === 65 && first === 0x04;

/** One run of one script on a stack. */
class Machine {
  readonly stack: Uint8Array[];
  readonly context: ScriptContext;
  readonly #script: Uint8Array;
  /** Of each open IF, whether the branch is taken. */
  readonly #branches: boolean[] = [];
  /** What is signed, by sighash type. */
  readonly #digests = new Map<number, Uint8Array>();

  constructor(stack: Uint8Array[], script: Uint8Array, context: ScriptContext) {
    this.stack = stack;
    this.#script = script;
    this.context = context;
  }

  run(): void {
    for (const { opcode, data } of readChunks(this.#script)) {
      if (data !== undefined && data.length > ELEMENT_BYTES_MAX) fail('push too long');
      const isRunning = !this.#branches.includes(false);
      if (opcode === OP.OP_IF || opcode === OP.OP_NOTIF) this.#openBranch(opcode === OP.OP_NOTIF, isRunning);
      else if (opcode === OP.OP_ELSE) this.#branches.push(!(this.#branches.pop() ?? fail('ELSE without IF')));
      else if (opcode === OP.OP_ENDIF) this.#branches.pop() ?? fail('ENDIF without IF');
      else if (isRunning) this.#step(opcode, data);
      if (this.stack.length > STACK_MAX) fail('stack too high');
    }
    if (this.#branches.length > 0) fail('IF without ENDIF');
  }

  #step(opcode: number, data: Uint8Array | undefined): void {
    if (data !== undefined) {
      if (!isMinimalPush(opcode, data)) fail('push not minimal');
      this.stack.push(data);
      return;
    }
    const number = smallNumber(opcode);
    if (number !== undefined) this.stack.push(number);
    else (OPERATIONS.get(opcode) ?? fail(`opcode ${opcode} has no place here`))(this);
  }

  #openBranch(isInverted: boolean, isRunning: boolean): void {
    if (!isRunning) {
      // Neither branch of an IF that is not reached is taken, as long as the outer one is false.
      this.#branches.push(true);
      return;
    }
    const condition = this.pop();
    const isMinimal = condition.length === 0 || equalBytes(condition, TRUE);
    if (this.context.version === 'v0' && !isMinimal) fail('MINIMALIF');
    this.#branches.push(isTrue(condition) !== isInverted);
  }

  pop(): Uint8Array {
    return this.stack.pop() ?? fail('stack empty');
  }

  peek(): Uint8Array {
    return this.stack.at(-1) ?? fail('stack empty');
  }

  pushBool(value: boolean): void {
    this.stack.push(value ? TRUE : FALSE);
  }

  popCount(max: number): number {
    const count = decodeNumber(this.pop(), 4);
    return count >= 0 && count <= max ? count : fail('count out of range');
  }

  popMany(count: number): Uint8Array[] {
    return Array.from({ length: count }, () => this.pop());
  }

  /** False for an empty signature; throws for one that is malformed or a key in a wrong form. */
  isSigned(signature: Uint8Array, key: Uint8Array): boolean {
    const parsed = signature.length === 0 ? undefined : this.#parsed(signature);
    if (this.context.version === 'v0' && key.length !== 33) fail('key not compressed');
    if (!hasKeyForm(key)) fail('no public key');
    if (parsed === undefined) return false;
    return verify(parsed.signature, this.#digest(parsed.sighashType), key);
  }

  #parsed(signature: Uint8Array) {
    const parsed = fromScriptSignature(signature) ?? fail('signature not DER');
    const base = parsed.sighashType & 0x7f;
    return base >= 1 && base <= 3 ? parsed : fail('unknown sighash type');
  }

  #digest(type: number): Uint8Array {
    let digest = this.#digests.get(type);
    if (digest === undefined) {
      const { tx, index, value, version } = this.context;
      digest =
        version === 'v0'
          ? sighashV0(tx, index, this.#script, value, type)
          : sighashLegacy(tx, index, this.#script, type);
      this.#digests.set(type, digest);
    }
    return digest;
  }
}

function checkSig(machine: Machine): boolean {
  const key = machine.pop();
  const signature = machine.pop();
  const isSigned = machine.isSigned(signature, key);
  if (!isSigned && signature.length > 0) fail('NULLFAIL');
  return isSigned;
}

/** Signatures stand in the order of their keys. */
function checkMultisig(machine: Machine): boolean {
  const keys = machine.popMany(machine.popCount(MULTISIG_KEYS_MAX));
  const signatures = machine.popMany(machine.popCount(keys.length));
  if (machine.pop().length > 0) fail('NULLDUMMY');
  let signed = 0;
  for (const [i, key] of keys.entries()) {
    const signature = signatures[signed];
    if (signature === undefined || signatures.length - signed > keys.length - i) break;
    if (machine.isSigned(signature, key)) signed++;
  }
  if (signed === signatures.length) return true;
  if (signatures.some(({ length }) => length > 0)) fail('NULLFAIL');
  return false;
}

function checkLocktime({ context: { tx, index } }: Machine, wanted: number): void {
  if (wanted < 0) fail('locktime negative');
  if (wanted < LOCKTIME_THRESHOLD !== tx.locktime < LOCKTIME_THRESHOLD) fail('locktime of another kind');
  if (wanted > tx.locktime) fail('locktime not reached');
  if (tx.inputs[index]?.sequence === SEQUENCE_FINAL) fail('locktime without force');
}

function checkSequence({ context: { tx, index } }: Machine, wanted: number): void {
  if (wanted < 0) fail('sequence negative');
  if (wanted % (2 * SEQUENCE_DISABLED) >= SEQUENCE_DISABLED) return;
  const actual = tx.inputs[index]?.sequence ?? SEQUENCE_FINAL;
  if (tx.version >>> 0 < 2 || actual >= SEQUENCE_DISABLED) fail('sequence without force');
  if ((wanted & SEQUENCE_IS_TIME) !== (actual & SEQUENCE_IS_TIME)) fail('sequence of another kind');
  if ((wanted & SEQUENCE_MASK) > (actual & SEQUENCE_MASK)) fail('sequence not reached');
}

const verified = (name: string, check: (machine: Machine) => boolean) => (machine: Machine) => {
  if (!check(machine)) fail(name);
};
const pushed = (check: (machine: Machine) => boolean) => (machine: Machine) =>
  machine.pushBool(check(machine));
const hashed = (hash: (bytes: Uint8Array) => Uint8Array) => (machine: Machine) =>
  machine.stack.push(hash(machine.pop()));
const isEqual = (machine: Machine): boolean => equalBytes(machine.pop(), machine.pop());

type Operation = (machine: Machine) => void;

const BY_NAME: Readonly<Record<string, Operation>> = {
  OP_NOP: () => {},
  OP_VERIFY: verified('VERIFY', (machine) => isTrue(machine.pop())),
  OP_DROP: (machine) => {
    machine.pop();
  },
  OP_DUP: (machine) => machine.stack.push(machine.peek()),
  OP_IFDUP: (machine) => {
    if (isTrue(machine.peek())) machine.stack.push(machine.peek());
  },
  OP_SWAP: (machine) => machine.stack.push(machine.pop(), machine.pop()),
  OP_SIZE: (machine) => machine.stack.push(encodeNumber(machine.peek().length)),
  OP_EQUAL: pushed(isEqual),
  OP_EQUALVERIFY: verified('EQUALVERIFY', isEqual),
  OP_SHA256: hashed(sha256),
  OP_HASH256: hashed(hash256),
  OP_HASH160: hashed(hash160),
  OP_RIPEMD160: hashed(ripemd160),
  OP_CHECKSIG: pushed(checkSig),
  OP_CHECKSIGVERIFY: verified('CHECKSIGVERIFY', checkSig),
  OP_CHECKMULTISIG: pushed(checkMultisig),
  OP_CHECKMULTISIGVERIFY: verified('CHECKMULTISIGVERIFY', checkMultisig),
  OP_CHECKLOCKTIMEVERIFY: (machine) => checkLocktime(machine, decodeNumber(machine.peek(), 5)),
  OP_CHECKSEQUENCEVERIFY: (machine) => checkSequence(machine, decodeNumber(machine.peek(), 5)),
};
const OPERATIONS: ReadonlyMap<number, Operation> = new Map(
  Object.entries(BY_NAME).map(([name, operation]) => [Reflect.get(OP, name) as number, operation]),
);

/** Runs the script and leaves its result on the stack. Throws `ScriptFailure`. */
export function runScript(script: Uint8Array, stack: Uint8Array[], context: ScriptContext): void {
  new Machine(stack, script, context).run();
}

/** CLEANSTACK: one element is left, and it is true. */
export function checkResult(stack: readonly Uint8Array[]): void {
  const [result, ...rest] = stack;
  if (result === undefined || rest.length > 0) fail('stack not clean');
  else if (!isTrue(result)) fail('false on the stack');
}
