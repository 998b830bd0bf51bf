/** What a node's session tells those who watch: counts and times, never what was asked. */
import type { LinkRefusal } from '@countersign/transport';

export interface AnsweredRequest {
  /** Wire name, `feed` for what feeders bring, `unknown` for what the table does not have. */
  readonly name: string;
  readonly refusal: LinkRefusal | null;
  readonly seconds: number;
}

export interface Observer {
  answered(request: AnsweredRequest): void;
}
