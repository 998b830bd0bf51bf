/** What the operator must know before trusting this process with money: the lines of every start. */
import type { EffectivePolicy } from './effective.ts';

/** Reorganisations of one or two blocks happen; below this depth a funding may still come undone. */
const FUNDING_DEPTH_ADVISED_BLOCKS = 3;

export function policyNotices({ policy, promise }: EffectivePolicy): readonly string[] {
  const { network, preset, limits } = policy;
  if (preset === 'permissive') {
    return [
      `POLICY IS PERMISSIVE on ${network.name}, THE PROMISE IS VOID: soft rules only warn and every payment and spend is approved`,
    ];
  }
  const notices: string[] = [];
  if (promise.state === 'void') {
    notices.push(`THE PROMISE IS VOID, a compromised node may take funds: ${promise.reasons.join('; ')}`);
  } else {
    notices.push(...promise.reasons);
  }
  const depth = limits.fundingDepthBlocks;
  if (network.isMainnet && depth < FUNDING_DEPTH_ADVISED_BLOCKS) {
    notices.push(
      `funding_depth_blocks is ${depth}: channels move while a short reorganisation can still undo their funding; ${FUNDING_DEPTH_ADVISED_BLOCKS} is safer`,
    );
  }
  return notices;
}
