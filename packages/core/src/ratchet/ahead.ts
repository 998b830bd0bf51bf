/**
 * What the node asks for next, derived while nobody waits: the keys of our next commitment follow from numbers and basepoints alone. It
 * changes no record and no decision; what was derived for nothing is forgotten.
 */
import type { Request } from '@countersign/wire';
import { channelId } from '../channel/lookup.ts';
import { COMMITMENT_NUMBER_MAX } from '../channel/record.ts';
import type { ClientIdentity, KeyPlace } from '../context.ts';
import { channelRecords } from '../records/channel.ts';
import type { StateReader } from '../state.ts';
import { commitmentKeys } from './commitment.ts';

/** After a request that was approved. */
export function deriveAhead(
  place: KeyPlace & { readonly state: StateReader },
  { channel: ref }: ClientIdentity,
  request: Request,
): void {
  if (request.name !== 'hsmd_validate_commitment_tx' || ref === null) return;
  const next = Number(request.commitNum) + 1;
  const setup = place.state.read(channelRecords, channelId(ref))?.value?.setup ?? null;
  if (setup === null || next >= COMMITMENT_NUMBER_MAX) return;
  commitmentKeys(place, { ref, setup }, 'holder', place.keys.perCommitmentPoint(ref, next));
  // Named in the answer to the next one.
  place.keys.perCommitmentPoint(ref, next + 1);
}
