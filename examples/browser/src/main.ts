/** The page: four steps from a key to a refused attack, and what the signer was asked meanwhile. */
import { msat } from '@countersign/bitcoin';
import { guideOf } from '@countersign/core';
import type { Ask } from '../../shared/ask.ts';
import { ATTACKS, type Attack } from '../../shared/attacks.ts';
import { Bob } from '../../shared/bob.ts';
import { Channel, VALUE_SAT } from '../../shared/channel.ts';
import { byId, element, sats } from './elements.ts';
import { Shelf } from './shelf.ts';
import { approve, askWith, openWallet, STORE, type Told, type Wallet } from './wallet.ts';

const PAY_SAT = 25_000;
const LOG_LINES_MAX = 60;

const shelf = new Shelf();
let wallet: Wallet | null = null;
let ask: Ask | null = null;
let bob: Bob | null = null;
let channel: Channel | null = null;

const keyButton = byId<HTMLButtonElement>('make-key');
const openButton = byId<HTMLButtonElement>('open-channel');
const payButton = byId<HTMLButtonElement>('pay');
const attackButtons = new Map<Attack, HTMLButtonElement>();

/** One step at a time; what goes wrong is shown, and is never meant to. */
async function run(step: () => Promise<void>): Promise<void> {
  for (const button of document.querySelectorAll('button')) button.disabled = true;
  byId('problem').hidden = true;
  try {
    await step();
  } catch (error) {
    byId('problem').hidden = false;
    byId('problem-text').textContent = error instanceof Error ? error.message : String(error);
  }
  render();
}

async function open(): Promise<void> {
  wallet = await openWallet(shelf);
  bob = new Bob(wallet.secp, 'Bob');
  ask = askWith(wallet.signer, bob.nodeId, log);
}

async function openChannel(): Promise<void> {
  if (wallet === null || ask === null || bob === null) return;
  const save = (notes: Channel['notes']): void => {
    shelf.notes = notes;
  };
  channel = await Channel.open({ ask, secp: wallet.secp, bob, notes: shelf.notes, save });
}

async function pay(): Promise<void> {
  if (wallet === null || ask === null || bob === null || channel === null) return;
  await approve(wallet.signer, ask, {
    name: 'hsmd_preapprove_keysend',
    destination: bob.nodeId,
    paymentHash: channel.paymentHash(),
    amountMsat: msat(BigInt(PAY_SAT) * 1000n),
  });
  await channel.pay(PAY_SAT);
}

async function attack({ id, request }: Attack): Promise<void> {
  if (wallet === null || ask === null || channel === null) return;
  const outcome = await ask('channel', request(channel, wallet.secp));
  const verdict = byId(`verdict-${id}`);
  verdict.hidden = false;
  verdict.dataset.outcome = outcome.ok ? 'signed' : 'refused';
  if (outcome.ok) {
    verdict.replaceChildren(element('strong', '', 'Signed. This must not happen.'));
    return;
  }
  const { tag, message } = outcome;
  const guide = guideOf(tag);
  verdict.replaceChildren(
    element('strong', 'badge', 'Refused'),
    element('p', 'reason', `${message.charAt(0).toUpperCase()}${message.slice(1)}.`),
    element('p', 'explained', guide === undefined ? '' : `${guide.happened} ${guide.means}`),
    element('code', 'tag', tag),
  );
}

/** Everything that this page has stored in the browser. */
async function startOver(): Promise<void> {
  await wallet?.journal.close();
  shelf.clear();
  const request = indexedDB.deleteDatabase(STORE);
  await new Promise((resolve, reject) => {
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  });
  location.reload();
}

function log({ request, refusedBy, milliseconds }: Told): void {
  const outcome = refusedBy === null ? 'answered' : `refused: ${refusedBy}`;
  const line = element(
    'li',
    refusedBy === null ? 'answered' : 'refused',
    element('code', '', request),
    element('span', '', outcome),
    element('span', 'time', `${milliseconds.toFixed(1)} ms`),
  );
  const lines = byId('log');
  lines.prepend(line);
  while (lines.childElementCount > LOG_LINES_MAX) lines.lastElementChild?.remove();
}

function render(): void {
  keyButton.disabled = wallet !== null;
  openButton.disabled = wallet === null || channel !== null;
  payButton.disabled = channel === null || channel.split.oursMsat < BigInt(4 * PAY_SAT) * 1000n;
  for (const [{ needsPayment }, button] of attackButtons)
    button.disabled = channel === null || (needsPayment && channel.notes.payments === 0);
  byId<HTMLButtonElement>('start-over').disabled = false;
  renderKey();
  renderChannel();
  renderStore();
}

function renderKey(): void {
  byId('step-key').dataset.done = String(wallet !== null);
  if (wallet !== null) byId('node-id').textContent = wallet.nodeId;
  byId('key-facts').hidden = wallet === null;
}

function renderChannel(): void {
  byId('step-channel').dataset.done = String(channel !== null);
  byId('step-pay').dataset.done = String(channel !== null && channel.notes.payments > 0);
  byId('balance').hidden = channel === null;
  if (channel === null) return;
  const { oursMsat, bobsMsat } = channel.split;
  byId('ours').style.flexGrow = String(Number(oursMsat / VALUE_SAT));
  byId('bobs').style.flexGrow = String(Number(bobsMsat / VALUE_SAT));
  byId('ours').textContent = `you ${sats(oursMsat)}`;
  byId('bobs').textContent = `Bob ${sats(bobsMsat)}`;
  const { number, payments } = channel.notes;
  byId('state').textContent =
    `State ${number} of the channel, signed after ${payments === 1 ? '1 payment' : `${payments} payments`}.`;
}

function renderStore(): void {
  if (wallet === null) return;
  const { journal } = wallet;
  const { commits, latency } = journal.stats;
  const mean = commits === 0 ? 0 : latency.sumMs / commits;
  byId('store').textContent =
    `On disk: ${journal.keys('').length} records, ${journal.auditHead.seq} entries in the audit log. ` +
    `Writes since the page was loaded: ${commits}, ${mean.toFixed(1)} ms each until durable.`;
}

function listAttacks(): void {
  for (const one of ATTACKS) {
    const button = element('button', 'danger', 'Try it');
    button.id = `attack-${one.id}`;
    button.type = 'button';
    button.addEventListener('click', () => void run(() => attack(one)));
    attackButtons.set(one, button);
    const verdict = element('div', 'verdict');
    verdict.id = `verdict-${one.id}`;
    verdict.hidden = true;
    verdict.setAttribute('role', 'status');
    const text = element('div', '', element('h3', '', one.title), element('p', '', one.story));
    byId('attacks').append(element('li', 'attack', text, button, verdict));
  }
}

listAttacks();
keyButton.addEventListener('click', () => void run(open));
openButton.addEventListener('click', () => void run(openChannel));
payButton.addEventListener('click', () => void run(pay));
byId('start-over').addEventListener('click', () => void run(startOver));

// A page that was here before goes on where it was.
await run(async () => {
  if (shelf.seed === null) return;
  await open();
  if (shelf.notes !== null) await openChannel();
  byId('restored').hidden = false;
});
document.documentElement.dataset.ready = 'true';
