/** A plugin that holds HTLCs that arrive at this node. Promises that a held HTLC stays unanswered until `live-release` names what
 *  becomes of it, also over a restart of lightningd (which asks about it again). */
import { find, type JsonValue } from './json-value.ts';
import { type Params, param, runPlugin } from './plugin.ts';

interface Held {
  readonly payment_hash: string;
  readonly answer: (value: JsonValue) => void;
}

let holding = false;
let held: Held[] = [];

function htlcAccepted(params: Params): Promise<JsonValue> {
  const payment_hash = find(Array.isArray(params) ? null : params, 'htlc', 'payment_hash');
  if (!holding || typeof payment_hash !== 'string') return Promise.resolve({ result: 'continue' });
  return new Promise((answer) => {
    held.push({ payment_hash, answer });
  });
}

async function hold(): Promise<JsonValue> {
  holding = true;
  return {};
}

async function listHeld(): Promise<JsonValue> {
  return { held: held.map((one) => one.payment_hash) };
}

/** Lets go of all held HTLCs, or of those with the payment hash, and ends holding when no hash is named. */
async function release(params: Params): Promise<JsonValue> {
  const payment_hash = param(params, 'payment_hash', 0);
  const chosen = held.filter((one) => payment_hash === null || one.payment_hash === payment_hash);
  held = held.filter((one) => !chosen.includes(one));
  if (payment_hash === null) holding = false;
  for (const one of chosen) one.answer({ result: 'continue' });
  return { released: chosen.length };
}

runPlugin({
  options: [{ name: 'live-hold', default: 'off', description: 'on: hold from the start' }],
  methods: { 'live-hold-on': hold, 'live-held': listHeld, 'live-release': release },
  hooks: { htlc_accepted: htlcAccepted },
  start: (options) => {
    holding = options.get('live-hold') === 'on';
  },
});
