/**
 * A Node.js application with its signer inside: a key, a channel with a scripted peer, a payment that the owner approves, five attacks,
 * and the same signer opened again from its state. `npm run example:node`, or with a directory to keep the state.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { msat, toHex } from '@countersign/bitcoin';
import { newHsmSecret } from '@countersign/core';
import { ATTACKS } from '../shared/attacks.ts';
import { Bob } from '../shared/bob.ts';
import { Channel, type Notes } from '../shared/channel.ts';
import { askThrough, openSigner, payApproved, secp } from './signer.ts';

const PAY_SAT = 25_000;

async function run(directory: string): Promise<void> {
  const secretFile = join(directory, 'hsm_secret');
  const notesFile = join(directory, 'notes.json');
  if (!existsSync(secretFile)) writeFileSync(secretFile, newHsmSecret(randomBytes(16)), { mode: 0o600 });
  const signer = await openSigner(join(directory, 'state'), readFileSync(secretFile));
  const bob = new Bob(secp, 'Bob');
  const ask = askThrough(signer, bob.nodeId);
  const save = (notes: Notes): void => writeFileSync(notesFile, JSON.stringify(notes));
  const known = existsSync(notesFile);
  const notes = known ? (JSON.parse(readFileSync(notesFile, 'utf8')) as Notes) : null;
  try {
    console.log(`The signer is open. Its node: ${toHex(signer.nodeId)}`);
    const channel = await Channel.open({ ask, secp, bob, notes, save });
    console.log(`${known ? 'The channel goes on' : 'A channel with Bob is open'}: ${balances(channel)}`);

    const paymentHash = channel.paymentHash();
    const amountMsat = msat(BigInt(PAY_SAT) * 1000n);
    const request = {
      name: 'hsmd_preapprove_keysend',
      destination: bob.nodeId,
      paymentHash,
      amountMsat,
    } as const;
    await payApproved(signer, ask, request);
    await channel.pay(PAY_SAT);
    console.log(`The owner approved a payment of ${PAY_SAT} sat, and Bob has it: ${balances(channel)}`);

    console.log('\nNow the application is taken over, and tries to');
    for (const { title, request: made } of ATTACKS) {
      const outcome = await ask('channel', made(channel, secp));
      if (outcome.ok) throw new Error(`signed: ${title}`);
      console.log(`  - ${title}\n    refused: ${outcome.message}\n    by the rule ${outcome.tag}`);
    }
    console.log(`\nNothing was lost: ${balances(channel)}`);
  } finally {
    await signer.close();
  }
}

function balances({ split, notes }: Channel): string {
  return `you have ${split.oursMsat / 1000n} sat, Bob ${split.bobsMsat / 1000n} sat, state ${notes.number}`;
}

const given = process.argv[2];
const directory = given === undefined ? mkdtempSync(join(tmpdir(), 'countersign-example-')) : resolve(given);
try {
  await run(directory);
  if (given === undefined) {
    console.log('\nOnce more, with what is on the disk:');
    await run(directory);
  }
} finally {
  if (given === undefined) rmSync(directory, { recursive: true, force: true });
}
