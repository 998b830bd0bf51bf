/** The peers of the node, all of them the attacker's: identities, and secrets of channels, out of labels. */
import { publicKeyOf } from '../bitcoin/keys.ts';
import { type ChannelPoints, type ChannelSecrets, channelPoints, makeChannelSecrets } from '../bolt3/keys.ts';
import { perCommitmentSecret } from '../bolt3/secrets.ts';
import { bytesFor } from './dice.ts';

export const nodeSecretOf = (peer: number): Uint8Array => bytesFor(`peer ${peer} node`);
export const nodeIdOf = (peer: number): Uint8Array => publicKeyOf(nodeSecretOf(peer));

const POINTS_MAX = 64;

/** The peer's half of one channel. */
export class PeerKeys {
  readonly secrets: ChannelSecrets;
  readonly points: ChannelPoints;
  readonly #points = new Map<number, Uint8Array>();

  readonly #label: string | null;

  constructor(label: string, isUnchained = false) {
    this.#label = isUnchained ? label : null;
    this.secrets = makeChannelSecrets(bytesFor(label));
    this.points = channelPoints(this.secrets);
  }

  /** What it revokes commitment `number` with. */
  secret(number: number): Uint8Array {
    if (this.#label !== null) return bytesFor(`${this.#label} secret ${number}`);
    return perCommitmentSecret(this.secrets.seed, number);
  }

  point(number: number): Uint8Array {
    const known = this.#points.get(number);
    if (known !== undefined) return known;
    const made = publicKeyOf(this.secret(number));
    this.#points.set(number, made);
    if (this.#points.size > POINTS_MAX) this.#points.delete(this.#points.keys().next().value!);
    return made;
  }
}
