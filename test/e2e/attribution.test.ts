/**
 * Who did it, by the identity provider's own signature: people work with the real binary, and an auditor who has only the files
 * follows every act back; then the files are erased, swapped and forged, and each is named.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { missing } from '../support/programs.ts';
import { Running, startStage, type Finished } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"unseal", Action::"kill", Action::"review"], resource);
@id("deletes") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
`;
const skip = missing('postgresql');
const identity = await generateIdentity();
const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        evidence: { seal: { recipients: [await identityToRecipient(identity)] } },
        masking: { rules: [{ name: 'personal', detect: ['email'], mode: 'redact' }] },
      },
    });
after(() => stage?.close());

interface Acts {
  readonly action: string;
  readonly issuer: number;
  readonly relay: number;
  readonly unchecked: number;
  readonly broken: number;
}
interface Told {
  readonly verified: boolean;
  readonly findings: readonly { code: string; file: string | null }[];
  readonly attribution: {
    readonly acts: readonly Acts[];
    readonly broken: Readonly<Record<string, number>>;
    readonly chains: readonly {
      readonly action: string;
      readonly actor: { readonly email: string };
      readonly attributed: string;
      readonly signIn: { readonly proof: { readonly digest: string } };
    }[];
  };
}
const toldBy = ({ stdout }: Finished): Told => JSON.parse(stdout) as Told;

/** Paths below `directory` that end so. */
const filesBelow = (directory: string, ending: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(directory, name));

/** An auditor verifies a copy of the export, changed as a test says. */
async function auditOf(change: (copy: string) => void, ...flags: string[]): Promise<Finished> {
  const [out, copy] = [path.join(stage!.directory, 'out'), path.join(stage!.directory, 'copy')];
  cpSync(out, copy, { recursive: true });
  try {
    change(copy);
    const args = ['audit', 'verify', copy, '--vkey-file', path.join(out, 'vkey'), '--attribution', ...flags];
    return await stage!.mallory.hoop(...args);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** Ana connects and queries, what she deletes is approved; Lea ends her session and reads the record in every way. @returns the session */
async function work(): Promise<string> {
  const { ana, lea, installation, connect, directory, postgres } = stage!;
  await lea.login(installation.url);
  const { env, session, running } = await connect(['--reason', 'incident 7']);
  const psql = (sql: string) =>
    new Running(path.join(postgres.binDir, 'psql'), ['-X', '-v', 'ON_ERROR_STOP=1', '-c', sql], env);
  assert.equal(await psql('CREATE TABLE notes (mail text)').ended, 0);
  assert.equal(await psql("SELECT 'ana@customers.example'").ended, 0);
  const deleting = psql('DELETE FROM notes');
  const [, review] = await deleting.says(/hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/);
  const done = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await lea.hoop(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  };
  await done('approve', review!);
  assert.equal(await deleting.ended, 0, deleting.output);
  await done('sessions', 'kill', session, '--reason', 'enough');
  await running.ended;
  const key = path.join(directory, 'auditor.key');
  writeFileSync(key, `${identity}\n`, { mode: 0o600 });
  await done('audit', 'unseal', session, '--identity', key);
  await done('audit', 'export', '--format', 'jsonl');
  await done('audit', 'show', session);
  await done('audit', 'replay', session, '--no-wait');
  await done('audit', 'export', '--out', path.join(directory, 'first'));
  await done('audit', 'export', '--out', path.join(directory, 'out'));
  assert.equal((await ana.hoop('audit', 'export', '--format', 'jsonl')).code, 3, 'policy still decides');
  return session;
}

test(
  'every act is followed to the identity provider’s signature, and each link that is gone or forged is named',
  { skip },
  async (t) => {
    const session = await work();
    const { lea, directory } = stage!;
    const out = path.join(directory, 'out');
    const tokens = filesBelow(path.join(out, 'logins'), '.jwt');
    const whole = toldBy(await auditOf(() => undefined, '--session', session, '--json'));
    const tokenOf = (action: string): string => {
      const { digest } = whole.attribution.chains.find((chain) => chain.action === action)!.signIn.proof;
      return path.relative(
        out,
        tokens.find((file) => file.includes(digest))!,
      );
    };
    const [anas, leas] = [tokenOf('session.open'), tokenOf('session.kill')];

    await t.test('all of them, offline', async () => {
      assert.equal(tokens.length, 2);
      for (const file of tokens) assert.equal(statSync(file).mode & 0o077, 0);
      assert.equal(whole.verified, true);
      const { acts, broken } = whole.attribution;
      assert.deepEqual(broken, {});
      assert.ok(acts.every((each) => each.issuer > 0 && each.relay + each.unchecked + each.broken === 0));
      assert.deepEqual(
        acts.map(({ action }) => action),
        [
          'evidence.export',
          'evidence.files',
          'evidence.replay',
          'evidence.show',
          'evidence.unseal',
          'review.decide',
          'session.kill',
          'session.open',
        ],
      );
    });

    await t.test('the chain of one session, for people', async () => {
      const audited = await auditOf(() => undefined, '--session', session);
      assert.equal(audited.code, 0, audited.output);
      assert.match(
        audited.stdout,
        /session\.open {2}.*\n {4}person {6}ana@example\.com, \S+ of http\S+\/idp\n {4}request +signed \S+ by key \S{43}\n {4}key +of login \S+ \(entry \d+\), bound by the issuer\n {4}id-token +sha256 [0-9a-f]{64}, logins\/\S+\.jwt\n.*for hoop-cli.*\n {4}issuer key +ES256 \S+, of key set [0-9a-f]{64} \(entry \d+\)\n {4}✓ attributed/,
      );
      assert.match(audited.stdout, /session\.kill {2}.*\n {4}person {6}lea@example\.com/);
    });

    await t.test('from the relay itself', async () => {
      const audited = await lea.hoop('audit', 'verify', '--attribution', '--json');
      assert.equal(audited.code, 0, audited.output);
      assert.ok(toldBy(audited).attribution.acts.length >= 8);
    });

    await t.test('an erased token: named missing; without attribution nobody needs it', async () => {
      const audited = await auditOf((copy) => rmSync(path.join(copy, anas)), '--json');
      assert.equal(audited.code, 6);
      const told = toldBy(audited);
      assert.deepEqual(
        told.findings.map(({ code }) => code),
        ['attribution-token-missing'],
      );
      assert.deepEqual(told.attribution.broken, { 'attribution-token-missing': 1 });
      rmSync(path.join(directory, 'first', 'logins'), { recursive: true });
      const without = await lea.hoop('audit', 'verify', path.join(directory, 'first'));
      assert.equal(without.code, 0, without.output);
    });

    await t.test('a token swapped for another person’s', async () => {
      const audited = await auditOf((copy) => {
        renameSync(path.join(copy, leas), path.join(copy, 'held'));
        renameSync(path.join(copy, anas), path.join(copy, leas));
        renameSync(path.join(copy, 'held'), path.join(copy, anas));
      }, '--json');
      assert.equal(audited.code, 6);
      const told = toldBy(audited);
      assert.deepEqual(
        told.findings.map(({ code, file }) => [code, file]).toSorted(),
        [
          ['attribution-token-mismatch', anas],
          ['attribution-token-mismatch', leas],
        ].toSorted(),
      );
    });

    await t.test('a forged token', async () => {
      const audited = await auditOf((copy) => {
        const file = path.join(copy, anas);
        writeFileSync(file, readFileSync(file, 'latin1').slice(0, -3));
      }, '--json');
      assert.deepEqual(
        toldBy(audited).findings.map(({ code }) => code),
        ['attribution-token-mismatch'],
      );
    });

    await t.test('a forged key set', async () => {
      const audited = await auditOf((copy) => {
        const entries = filesBelow(path.join(copy, 'log', 'tile', 'entries'), '');
        const bundle = entries.find((name) => statSync(name).isFile());
        const text = readFileSync(bundle!, 'latin1');
        const [, x] = /"jwks":\{"keys":\[\{[^\]]*"x":"([\w-]{43})"/.exec(text)!;
        writeFileSync(bundle!, text.replace(x!, `${x!.startsWith('A') ? 'B' : 'A'}${x!.slice(1)}`), 'latin1');
      }, '--json');
      assert.equal(audited.code, 6);
      const codes = new Set(toldBy(audited).findings.map(({ code }) => code));
      for (const code of [
        'entry-mismatch',
        'root-mismatch',
        'attribution-keys-mismatch',
        'attribution-key-unknown',
      ])
        assert.ok(codes.has(code), `${code} in ${[...codes].join(' ')}`);
    });
  },
);
