/**
 * Metrics in Prometheus's text format. Labels come from closed lists (the table of messages, the registry of rules, the nodes of
 * signer.toml), so that nobody who asks for signatures can make up new series.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { AnsweredRequest, Observer } from './observer.ts';
import type { NodeStanding } from './standing.ts';

/** From a tenth of a millisecond, which a decision without a change takes, to the wait of a slow disk. */
const SECONDS_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2];

/** `denied`: the policy said no. `failed`: anything else that is no signature. */
type Result = 'succeeded' | 'denied' | 'failed';

const LINKS = ['none', 'down', 'up', 'standby', 'closed'] as const;

export class Metrics {
  readonly #registry = new Registry();
  readonly #decisions: Counter<'node' | 'message' | 'result'>;
  readonly #refusals: Counter<'node' | 'tag'>;
  readonly #seconds: Histogram<'node' | 'message'>;
  readonly #gauges: readonly ((nodes: readonly NodeStanding[]) => void)[];
  readonly #standing: () => readonly NodeStanding[];

  constructor(standing: () => readonly NodeStanding[]) {
    this.#standing = standing;
    const registers = [this.#registry];
    this.#decisions = new Counter({
      name: 'countersign_decisions_total',
      help: 'Requests answered, by message and result',
      labelNames: ['node', 'message', 'result'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'countersign_refusals_total',
      help: 'Refusals, by the tag of the rule',
      labelNames: ['node', 'tag'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'countersign_request_seconds',
      help: 'From a request taken to its answer, durable',
      labelNames: ['node', 'message'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#gauges = this.#readings();
  }

  /** Of one node. */
  observer(node: string): Observer {
    return { answered: (request) => this.#answered(node, request) };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    const nodes = this.#standing();
    for (const read of this.#gauges) read(nodes);
    return this.#registry.metrics();
  }

  #answered(node: string, { name, refusal, seconds }: AnsweredRequest): void {
    const result: Result = refusal === null ? 'succeeded' : refusal.code === 'policy' ? 'denied' : 'failed';
    this.#decisions.inc({ node, message: name, result });
    this.#seconds.observe({ node, message: name }, seconds);
    if (refusal !== null) this.#refusals.inc({ node, tag: refusal.tag });
  }

  /** One reading for each gauge; what a node does not have is left out. */
  #readings(): readonly ((nodes: readonly NodeStanding[]) => void)[] {
    const one = (name: string, help: string, value: (node: NodeStanding) => number | null) => {
      const gauge = new Gauge({ name, help, labelNames: ['node'], registers: [this.#registry] });
      return (nodes: readonly NodeStanding[]): void => {
        gauge.reset();
        for (const node of nodes) {
          const read = value(node);
          if (read !== null) gauge.set({ node: node.name }, read);
        }
      };
    };
    return [
      one('countersign_signing', '1 while the store works and the signer signs', (node) =>
        node.failure === null && !node.isStopping ? 1 : 0,
      ),
      one('countersign_requests_in_flight', 'Requests not answered yet', (node) => node.inFlight),
      one('countersign_commits', 'Commits of the journal since the start', (node) => node.journal.commits),
      one('countersign_syncs', 'Syncs that carried them', (node) => node.journal.batches),
      one('countersign_commits_pending', 'Commits not durable yet', (node) => node.journal.pendingCommits),
      one('countersign_chain_tip_height_blocks', 'Height of the chain with the most work', (node) =>
        node.chain === null ? null : node.chain.tipHeightBlocks,
      ),
      one('countersign_chain_lag_blocks', 'Blocks whose contents are not proven yet', (node) =>
        node.chain === null ? null : node.chain.tipHeightBlocks - node.chain.provenHeightBlocks,
      ),
      one(
        'countersign_chain_lag_seconds',
        'Since the newest block',
        (node) => node.chain?.lagSeconds ?? null,
      ),
      one('countersign_deadline_blocks', 'Blocks left to the nearest deadline', (node) =>
        node.deadlines[0] === undefined ? null : node.deadlines[0].blocksLeft,
      ),
      one('countersign_deadlines', 'Deadlines that are near', (node) => node.deadlines.length),
      one('countersign_alarms', 'Alarms that stand', (node) => node.alarms.length),
      this.#linkReading(),
    ];
  }

  #linkReading(): (nodes: readonly NodeStanding[]) => void {
    const gauge = new Gauge({
      name: 'countersign_link_state',
      help: '1 at the state the link is in',
      labelNames: ['node', 'state'],
      registers: [this.#registry],
    });
    return (nodes) => {
      for (const node of nodes) {
        for (const state of LINKS) gauge.set({ node: node.name, state }, node.link === state ? 1 : 0);
      }
    };
  }
}
