/** The embedded default: `hoop relay start` without a configuration has a directory of its own, explained by comments. */
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { ensurePrivateDirectory, writePrivateFile } from '../../system/private-file.ts';

/** `$XDG_DATA_HOME/hoop/relay`; a relative value is ignored, as the XDG specification says. */
export function embeddedDirectory(environment: NodeJS.ProcessEnv): string {
  const data = environment['XDG_DATA_HOME'];
  const base = data !== undefined && path.isAbsolute(data) ? data : path.join(homedir(), '.local', 'share');
  return path.join(base, 'hoop', 'relay');
}

/**
 * Makes the directory (0700) and the two files that are not there yet (0600); never changes one that is.
 * @returns the path of `relay.yaml`
 * @throws PrivateFileError `private-path-unsafe`
 */
export async function prepareEmbedded(environment: NodeJS.ProcessEnv): Promise<string> {
  const directory = embeddedDirectory(environment);
  await ensurePrivateDirectory(directory);
  const file = path.join(directory, 'relay.yaml');
  await writeIfMissing(path.join(directory, 'policy.cedar'), policyTemplate);
  await writeIfMissing(file, configTemplate);
  return file;
}

async function writeIfMissing(file: string, content: string): Promise<void> {
  try {
    await access(file);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    await writePrivateFile(file, content);
  }
}

/**
 * First `relay.yaml`: everything that stands here is also the default, but for the paths. `log.origin` stands here because
 * its default follows the address: whoever changes the port later would ask for a log that the key is not for.
 */
const configTemplate = `# The relay of this machine. Every key is described in docs/configuration.md.
# Check a change with: hoop relay check

dataDir: .
policies: [policy.cedar]

# Plain HTTP, reachable from this machine only. For others: tls and publicUrl.
listen: { host: 127.0.0.1, port: 7443 }

# The name of the evidence log, which its key carries: it stays, also when port or publicUrl change.
log: { origin: localhost:7443/log }

# Sensitive values never leave the relay once a rule says what they are (docs/masking.md); originals are sealed to auditors.
# masking: { rules: [{ name: people, detect: [personal, secrets] }] }
# evidence: { seal: { recipients: [] } }        # age1…, made by: hoop audit keygen

# What can be reached through the relay. Credentials are references, never values.
targets: {}
#  db-prod:
#    protocol: postgres
#    description: orders and customers
#    groups: [prod]
#    host: db.example.com
#    database: app
#    user: hoop
#    password: file:db-prod.password      # or env:DB_PROD_PASSWORD; the file must be yours alone (chmod 600)
#    tls: { caFile: db-ca.pem }            # verify-full is the default
`;

/** First `policy.cedar`: nobody may do anything. */
const policyTemplate = `// Who may do what. Nothing is allowed that no permit names, and a forbid outweighs every permit.
// People and their groups: hoop admin users add ana@example.com --group engineering
// Explain a decision: hoop policy check --group engineering db-prod

// Everybody may see and end their own sessions:
@id("own-sessions")
permit (principal, action in [Action::"kill", Action::"readEvidence"], resource is Session)
when { context.own };

// Engineers reach the production databases, and their commands run there:
// @id("engineers-prod")
// permit (
//   principal in Group::"engineering",
//   action in [Action::"connect", Action::"execute"],
//   resource in TargetGroup::"prod"
// );

// Leads end sessions there, auditors read everything:
// @id("leads-kill")
// permit (principal in Group::"leads", action == Action::"kill", resource in TargetGroup::"prod");
// @id("auditors")
// permit (principal in Group::"auditors", action == Action::"readEvidence", resource);
`;
