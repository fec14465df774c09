/** Who did what by whose signature, for people: a table of all acts, and the steps of each act of one session. */
import type { AttributedAct, AttributionReport } from '../../evidence/verify/index.ts';
import { colour, visible } from '../colour.ts';

type Attributed = AttributedAct['attributed'];

const columns: readonly (readonly [name: Attributed, head: string])[] = [
  ['issuer', 'to the issuer'],
  ['relay', 'by the relay'],
  ['unchecked', 'not checked'],
  ['broken', 'broken'],
];

const conclusions: Readonly<Record<Attributed, string>> = {
  issuer: 'attributed by the issuer’s own signature, over person and key',
  relay: 'the issuer signed who it is; that the key is theirs is the relay’s word',
  unchecked: 'the proof is kept, and of a kind that is not checked here',
  broken: 'not attributed',
};

export function* attributionLines({ acts, broken, session, chains }: AttributionReport): Generator<string> {
  const width = Math.max(14, ...acts.map(({ action }) => action.length));
  yield `  ${'attributed'.padEnd(width)}  ${columns.map(([, head]) => head).join('  ')}`;
  for (const act of acts) {
    const cells = columns.map(([name, head]) => String(act[name]).padStart(head.length));
    yield `  ${act.action.padEnd(width)}  ${cells.join('  ')}`;
  }
  if (acts.length === 0) yield '  nobody did anything that is signed';
  for (const [link, count] of Object.entries(broken))
    yield colour.red(`  ${count} ${count === 1 ? 'act is' : 'acts are'} broken at ${link}`);
  for (const chain of chains) yield* chainLines(chain);
  if (session !== null && chains.length === 0)
    yield `  nobody did anything about a session ${session} in this log`;
}

/** One act, a line for each step as far as they go. */
function* chainLines(act: AttributedAct): Generator<string> {
  yield '';
  yield `  ${colour.bold(act.action)}  ${act.time}  entry ${act.index}`;
  for (const [name, text] of stepsOf(act)) yield `    ${name.padEnd(10)}  ${visible(text)}`;
  const end =
    act.link === null ? conclusions[act.attributed] : `${conclusions[act.attributed]} (${act.link})`;
  yield `    ${act.attributed === 'broken' ? colour.red(`✗ ${end}`) : colour.green(`✓ ${end}`)}`;
}

function* stepsOf({
  actor,
  signedAt,
  login,
  signIn,
}: AttributedAct): Generator<[name: string, text: string]> {
  if (actor.kind === 'relay') return;
  const { email, subject, issuer, kind } = actor;
  yield [kind, `${email === null ? '' : `${email}, `}${subject} of ${issuer}`];
  if (signedAt === null || login === null) return;
  yield ['request', `signed ${signedAt} by key ${login.thumbprint}`];
  const binding = login.binding === 'cnf-by-issuer' ? 'bound by the issuer' : 'bound by the relay';
  yield ['key', `of login ${login.id} (entry ${login.index}), ${binding}`];
  if (signIn === null) return;
  const { proof, token, issuerKey } = signIn;
  yield [proof.kind, `sha256 ${proof.digest}, ${proof.file ?? 'not here'}`];
  if (token !== null)
    yield [
      '',
      `of ${token.issuer} for ${token.audience.join(', ')}, issued ${token.issuedAt}, until ${token.expiresAt}` +
        (token.authTime === null ? '' : `, signed in ${token.authTime}`),
    ];
  if (issuerKey === null) return;
  const { algorithm, kid, jwksDigest, index } = issuerKey;
  yield ['issuer key', `${algorithm} ${kid ?? '(no id)'}, of key set ${jwksDigest} (entry ${index})`];
}
