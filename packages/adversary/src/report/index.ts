/** What a run found, told: data, a story, a file to play it again, a page. Pure functions. */
export { addCoverage, type Coverage, coverageCounts, coverageOf, type RuleName } from './coverage.ts';
export { type PageOptions, reportPage } from './page.ts';
export { type Replay, ReplayFileError, readReplay, replayOf, writeReplay } from './replay-file.ts';
export { clientWords, outcomeWords, requestWords } from './request-words.ts';
export type * from './result.ts';
export { findingWords, satWords, storyLine, storyOf } from './story.ts';
export { strategySteps } from './strategy.ts';
