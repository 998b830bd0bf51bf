/**
 * The demo without a terminal: a fixed script of some thirty seconds, told in plain lines. It ends with what was stolen, and with
 * an exit status that says whether anything was.
 */
import { PLAIN, type Style } from '@countersign/cli';
import type { Scene } from './scene.ts';
import { attack as toldAttack } from './screen.ts';

const COLUMNS = 96;
const PAYMENTS_BEFORE_ATTACKS = 4;
const ATTACKS = 9;

export interface Pace {
  /** Between two steps. */
  pause(): Promise<void>;
}

/** True when every attack was refused, nothing was stolen and no payment failed. */
export async function playScript(scene: Scene, pace: Pace, write: (line: string) => void): Promise<boolean> {
  const style: Style = PLAIN;
  write('Countersign: a Lightning node whose keys are somewhere else (play money)');
  write('');
  write('Alice’s node has no keys: it asks a signer for every signature. Bob’s node is an ordinary one.');
  await scene.openChannel();
  write(`A channel of ${told(scene.facts().channel?.capacitySat)} is open.`);
  let payments = 0;
  const pay = async (): Promise<void> => {
    payments += 1;
    await scene.pay();
    write(`  ${scene.facts().lines[0] ?? ''}`);
    await pace.pause();
  };
  for (let i = 0; i < PAYMENTS_BEFORE_ATTACKS; i++) await pay();
  write('');
  write(
    'Now a thief takes over Alice’s node, with Bob as accomplice, and asks the signer for one thing after the other.',
  );
  let isSound = true;
  for (let i = 0; i < ATTACKS; i++) {
    const facts = await scene.attack();
    if (facts === null) continue;
    isSound &&= facts.refusedBy !== null && facts.wealthAfterSat >= facts.wealthBeforeSat;
    write('');
    for (const line of toldAttack(facts, style, COLUMNS)) write(line);
    await pay();
  }
  return tellEnd(scene, write, isSound, payments);
}

function tellEnd(scene: Scene, write: (line: string) => void, isSound: boolean, payments: number): boolean {
  const facts = scene.facts();
  const paid = facts.paymentsSent + facts.paymentsReceived;
  write('');
  write(`Payments: ${paid} of ${payments}. Signed: ${facts.signed}. Refused: ${facts.refused}.`);
  write(`Attacks were after ${told(facts.triedSat)}. Stolen: ${told(facts.stolenSat)}.`);
  write(`Alice is certain to keep ${told(BigInt(facts.certainSat))}, whatever her node does from here.`);
  return isSound && facts.stolenSat === 0n && paid === payments;
}

const told = (amount: bigint | undefined): string => `${(amount ?? 0n).toLocaleString('en-US')} sat`;
