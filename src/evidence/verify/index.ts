/**
 * `hoop/verify`: proves, offline and without trusting the relay, that nothing in an evidence directory or an export was
 * changed, removed or reordered. An auditor can run it alone.
 *
 *     const report = await verify({ directory, vkey });
 *     for (const { code, message } of report.findings) …
 *
 * In this order: checkpoint signature, by the key or one that the log was handed over to → tree from the entries equals
 * the signed root, tiles equal the tree → hand-overs of the key → how far the witnesses vouch → extends the checkpoint seen before →
 * entries well formed, times never decrease → user signature → key → login (and with `attribution` on: login → what the identity
 * provider signed → a key that it had published) → every session opened and closed → every review's digest, people and outcome, and the command that it let through → every segment's order, digest and name → recordings that no entry names → the journal.
 *
 * A bundle (`hoop audit export --out FILE.zip`) is read where it lies: `verifyBundle({ file, vkey })`.
 *
 * What it does not do: fetch anything (the caller brings files), judge policy, or notice that a log was rolled back when
 * no earlier checkpoint is given (`since`) and no witness is asked for.
 *
 * It imports nothing that writes and no network; a test keeps that so.
 */
export { verify, type Report, type VerifyOptions } from './verify.ts';
export { verifyBundle, type BundleReport } from './bundle.ts';
export type { AttributedAct, AttributionOptions, AttributionReport } from './attribution/attribution.ts';
export type { OriginalsReport } from './originals.ts';
export type { WitnessReport, WitnessView } from './witnesses.ts';
export type { FailureCode, Finding, FindingCode, WarningCode } from './finding.ts';
