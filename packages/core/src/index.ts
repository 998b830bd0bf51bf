/**
 * The signer: state, laws, keys and decisions. No I/O anywhere in this package; whoever embeds it brings the
 * journal and the transport.
 */

export { administer } from './admin/administer.ts';
export type * from './admin/operations.ts';
export {
  acceptBeginning,
  acceptBlock,
  acceptHeaders,
  admitChain,
  type ChainInput,
  rescanChain,
} from './chain/advance.ts';
export type * from './chain/alarm-types.ts';
export { alarmsOfChain, alarmsOfChannel } from './chain/alarms.ts';
export {
  BEGIN_HEADERS_MAX,
  type BeginNeeds,
  type Beginning,
  beginChain,
  beginNeeds,
  headersToDrop,
} from './chain/begin.ts';
export type { Checkpoint } from './chain/checkpoints.ts';
export { deadlinesOf, isClaimable } from './chain/deadlines.ts';
export { hashrateAlarm } from './chain/hashrate.ts';
export { HEADERS_KEPT, type JudgedHeaders, judgeHeaders, RUN_HEADERS_MAX } from './chain/headers.ts';
export type { ChainOutcome, ChainPlace, WatchIndex } from './chain/input.ts';
export { type OracleAttestation, requireOracleQuorum } from './chain/oracle.ts';
export { chainParams } from './chain/params.ts';
export { type BlockProof, proveBlock } from './chain/proof.ts';
export { type Standing, standingOf } from './chain/standing.ts';
export { type ChainView, type OutpointStatus, VIEW_NOT_BEGUN } from './chain/view.ts';
export { chainViewOf, headerTimeSeconds } from './chain/view-of.ts';
export { WatchBook } from './chain/watch-book.ts';
export type { ChannelRecord, ChannelSetup, FundingCandidate } from './channel/record.ts';
export {
  type AuditEvent,
  type ChannelRef,
  type ClientIdentity,
  type Context,
  type KeyView,
  MASTER_PERMISSIONS,
  PERMISSION,
  type Warning,
} from './context.ts';
export {
  channelOf,
  DECIDED_REQUESTS,
  type Decision,
  type DecisionInput,
  decide,
  decideInit,
  malformedRefusal,
  permissionRefusal,
} from './decide.ts';
export * from './heartbeat/index.ts';
export { assemble, type BatchRelease, isBatch, jobsOf } from './keys/batch.ts';
export * from './keys/index.ts';
export { perform } from './keys/perform.ts';
export { signJob } from './keys/sign-job.ts';
export { signRemedy } from './keys/sign-remedy.ts';
export { keyView } from './keys/view.ts';
export { NETWORKS, type Network, type NetworkName, networkByChainHash, networkByName } from './network.ts';
export {
  approveUnasked,
  isPayeeAllowlisted,
  pendingPayment,
  standingApproval,
} from './payments/approvals.ts';
export { mayRetire, withoutExpiredApproval } from './payments/retirement.ts';
export { permissionFor } from './permissions.ts';
export { type AllowlistReading, readDestination, readPayee } from './policy/allowlist-entry.ts';
export { allRules, findRule } from './policy/catalogue.ts';
export { GUIDES, type Guide, guideOf } from './policy/guide/index.ts';
export type { LawDefinition, LawNumber } from './policy/law.ts';
export { LAWS } from './policy/laws.ts';
export { preimageSeverity, SETTLED_PREIMAGE_TAG } from './policy/preimages.ts';
export type { Law, Operation, Rule } from './policy/registry.ts';
export {
  APPROVAL_EXPIRY_SECONDS,
  type ApprovalPolicy,
  type AutoApproval,
  defaultLimits,
  type Limits,
  limitsFor,
  type Override,
  type Policy,
  type PolicyScope,
  type Preset,
  policyOf,
  type Severity,
  severityOf,
  severitySet,
  type VelocityLimit,
} from './policy/settings.ts';
export { deriveAhead } from './ratchet/ahead.ts';
export * from './records/approval.ts';
export * from './records/chain.ts';
export { channelRecords, formerChannelRecords, fundingRecords } from './records/channel.ts';
export { decodeRecord, encodeRecord, type RecordKind } from './records/kind.ts';
export * from './records/payment.ts';
export { velocityRecords } from './records/velocity.ts';
export { REFUSAL_WIRE_CODE, type Refusal, type RefusalCode, refusalText } from './refusal.ts';
export type { PsbtKey, PsbtSignature, Release, SignatureJob } from './release.ts';
export type { Feerates } from './remedies/fee-ladder.ts';
export { type ForceCloseInput, type ForceCloseOutcome, forceClose } from './remedies/force-close.ts';
export { fundingsToClose, isOver, isSignedFor } from './remedies/fundings-to-close.ts';
export { type RemedyPlace, remediesOf } from './remedies/plan.ts';
export type * from './remedies/remedy.ts';
export { type Change, Draft, recordKey, type StateReader, type Versioned } from './state.ts';
