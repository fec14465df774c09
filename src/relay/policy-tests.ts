/**
 * `hoop policy test FILE`: what somebody expects of the policies, compared with what they decide. The file is YAML (JSON is
 * YAML too); what is unknown in it is refused with its place, so that a misspelt expectation never passes.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { RelayConfig } from './config/config.ts';
import { ConfigDocument } from './config/document.ts';
import { formatConfigProblem, type ConfigProblem } from './config/error.ts';
import { RelayError } from './error.ts';
import { Explainer, type Explanation } from './explain.ts';
import { PolicyTestError } from './policy-test-error.ts';

const text = z.string().min(1).max(1024);
const Expectation = z.strictObject({
  name: text.optional(),
  groups: z.array(text).default([]),
  kind: z.enum(['person', 'service', 'agent']).default('person'),
  subject: text.default('somebody'),
  email: text.optional(),
  from: text.default('127.0.0.1'),
  at: text.optional(),
  duration: text.optional(),
  reason: text.optional(),
  task: text.optional(),
  authAge: text.optional(),
  acr: text.optional(),
  amr: z.array(text).default([]),
  target: text,
  /** Absent: may a session be opened? */
  sql: z.string().optional(),
  expect: z.enum(['allow', 'deny', 'review']),
  /** Exactly these determine it. */
  policies: z.array(text).optional(),
  /** Exactly these approve. */
  needed: z.record(text, z.int().min(1)).optional(),
});
type Expectation = z.infer<typeof Expectation>;
const PolicyTestFile = z.strictObject({ tests: z.array(Expectation).min(1) });

export interface PolicyTestResult {
  readonly name: string;
  readonly line: number;
  readonly passed: boolean;
  /** Null: the question cannot be asked. */
  readonly decision: Explanation['decision'] | null;
  readonly policies: readonly string[];
  readonly needed: Readonly<Record<string, number>>;
  /** What is not as expected, in words; empty when it passed. */
  readonly differences: readonly string[];
}

/** @throws PolicyTestError; PolicyError, ConfigError of the policies */
export async function runPolicyTests(config: RelayConfig, file: string): Promise<PolicyTestResult[]> {
  const { document, tests } = await readTests(file);
  const explainer = await Explainer.open(config);
  try {
    return tests.map((test, index) => {
      const { line } = document.valueAt(['tests', index]);
      return compare(test, explainer, { file, line });
    });
  } finally {
    explainer.close();
  }
}

async function readTests(file: string): Promise<{ document: ConfigDocument; tests: Expectation[] }> {
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PolicyTestError('policy-test-unreadable', `cannot read ${file}`, { cause });
  });
  const document = new ConfigDocument(content);
  const parsed = PolicyTestFile.safeParse(document.problems.length > 0 ? undefined : document.value);
  if (parsed.success) return { document, tests: parsed.data.tests };
  const problems: readonly ConfigProblem[] =
    document.problems.length > 0
      ? document.problems
      : parsed.error.issues.map(({ path, message }) => {
          const { line, column } = document.valueAt(path);
          return { line, column, path: path.join('.'), message };
        });
  const lines = problems.map((problem) => formatConfigProblem(file, problem));
  throw new PolicyTestError('policy-test-invalid', `no file of expectations: ${lines[0] ?? file}`, {
    problems: lines,
    hint: 'docs/policy.md shows one',
  });
}

function compare(
  test: Expectation,
  explainer: Explainer,
  { file, line }: { file: string; line: number },
): PolicyTestResult {
  const { subject, groups, needed: people, policies: ids, ...question } = test;
  const name = test.name ?? `${file}:${line}`;
  let explanation: Explanation;
  try {
    explanation = explainer.explain({ ...question, as: subject, group: groups, user: null });
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    const differences = [error.message];
    return { name, line, passed: false, decision: null, policies: [], needed: {}, differences };
  }
  const policies = explanation.policies.map(({ id }) => id).toSorted();
  const needed = Object.fromEntries(explanation.needed.map(({ group, count }) => [group, count]));
  const differences: string[] = [];
  const { decision, action, errors } = explanation;
  if (decision !== test.expect) {
    const by = policies.length === 0 ? 'no policy' : policies.join(', ');
    const already = action === 'connect' && test.sql !== undefined ? ', already to connect' : '';
    differences.push(`expected ${test.expect}, got ${decision}${already} (${by})`);
  }
  for (const id of errors) differences.push(`${id} failed to evaluate`);
  if (ids !== undefined && ids.toSorted().join() !== policies.join())
    differences.push(
      `expected ${ids.toSorted().join(', ') || 'no policy'}, got ${policies.join(', ') || 'none'}`,
    );
  if (people !== undefined && formatNeeded(people) !== formatNeeded(needed))
    differences.push(`expected approval by ${formatNeeded(people)}, got ${formatNeeded(needed)}`);
  const passed = differences.length === 0;
  return { name, line, passed, decision, policies, needed, differences };
}

const formatNeeded = (needed: Readonly<Record<string, number>>): string =>
  Object.entries(needed)
    .map(([group, count]) => `${group} (${count})`)
    .toSorted()
    .join(', ') || 'nobody';
