/** A real relay with a real witness: the log's key is rotated while it runs and while it does not; people follow. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  mkdtempSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { stopAll } from '../../src/cli/demo/hoop.ts';
import { NoteSigner } from '../../src/evidence/log/note.ts';
import { environmentOf, Installation } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { hoop, Running } from '../support/relay.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-keys-e2e-'));
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
});

const policy = `@id("leads") permit (principal in Group::"leads", action == Action::"readEvidence", resource);`;

test(
  'rotated while it runs and while it does not: sign-ins follow, old and new keys verify, the witness vouches',
  { timeout: 300_000 },
  async () => {
    const home = path.join(directory, 'witness');
    mkdirSync(home);
    const env = environmentOf(path.join(home, 'home'));
    const witnessFile = path.join(home, 'witness.yaml');
    const [port, origin] = [await freePort(), 'relay.example/log'];
    const witnessYaml = (vkeys: readonly string[]) =>
      writeFileSync(
        witnessFile,
        `name: witness.example/w1\ndataDir: data\nlisten: { port: ${port} }\nlogs: [{ origin: ${origin}, vkeys: ${JSON.stringify(vkeys)} }]\n`,
        { mode: 0o600 },
      );
    // Its key is made at its first start; it knows some other log's key until the relay has one.
    witnessYaml([NoteSigner.generate(origin).verifier.toString()]);
    const startWitness = async () => {
      const running = Running.hoop(['relay', 'witness', '--config', witnessFile], env);
      const [, vkey = ''] = await running.says(/vkey {2}(\S+)/);
      return { running, vkey };
    };
    let witness = await startWitness();
    const installation = await Installation.create({
      directory: path.join(directory, 'relay'),
      targets: {},
      policy,
      config: {
        log: {
          origin,
          witnesses: [{ name: 'one', url: `http://127.0.0.1:${port}`, vkey: witness.vkey }],
        },
      },
    });
    const lea = await installation.addPerson('lea', 'lea@example.com', ['leads']);
    await installation.start();
    await lea.login(installation.url);
    const vkeyNow = async (): Promise<string> =>
      JSON.parse(await (await fetch(`${installation.url}/.well-known/hoop`)).text()).log.vkey;
    const first = await vkeyNow();
    const restartWitness = async (vkeys: readonly string[]) => {
      witnessYaml(vkeys);
      await witness.running.stop();
      witness = await startWitness();
    };
    await restartWitness([first]);

    const rotate = () =>
      hoop(['relay', 'rotate-log-key', '--config', installation.configFile, '--json'], {
        env: installation.env,
      });
    const rotated = await rotate();
    assert.equal(rotated.code, 0, rotated.output);
    const second = await vkeyNow();
    assert.equal(JSON.parse(rotated.stdout).to, second);
    assert.notEqual(first, second);
    await restartWitness([first, second]);
    await lea.login(installation.url);
    const settings = readFileSync(path.join(lea.env['XDG_CONFIG_HOME']!, 'hoop', 'settings.json'), 'utf8');
    assert.ok(settings.includes(second), 'the new key is pinned, without a question');

    await installation.stop();
    const offline = await rotate();
    assert.equal(offline.code, 0, offline.output);
    const third = JSON.parse(offline.stdout).to as string;
    assert.ok(!existsSync(path.join(installation.directory, 'relay/keys/log.key.next')));
    await restartWitness([first, second, third]);
    await installation.start();
    assert.equal(await vkeyNow(), third);
    await eventually('the witness has cosigned', () => {
      const held = path.join(installation.evidence, 'log/witnessed');
      return existsSync(held) && readdirSync(held).some((name) => /^[0-9a-f]{64}$/.test(name));
    });
    await lea.login(installation.url);
    const overHttp = await lea.hoop('audit', 'verify', '--vkey', first, '--witness', witness.vkey, '--json');
    assert.equal(overHttp.code, 0, overHttp.output);
    assert.equal(JSON.parse(overHttp.stdout).keys.length, 3);
    await installation.stop();
    for (const vkey of [first, second, third]) {
      const args = ['audit', 'verify', installation.evidence, '--vkey', vkey, '--witness', witness.vkey];
      const verified = await hoop(args, { env });
      assert.equal(verified.code, 0, verified.output);
      assert.match(verified.stdout, /the policy holds for \d+ of \d+ entries/);
    }

    // The key changed without a hand-over: as always, a person must look.
    rmSync(path.join(installation.evidence, 'log/handover'), { recursive: true });
    const file = path.join(lea.env['XDG_CONFIG_HOME']!, 'hoop', 'settings.json');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(third, first), { mode: 0o600 });
    await installation.start();
    const refused = await lea.hoop('login', installation.url, '--no-browser');
    assert.equal(refused.code, 6, refused.output);
    assert.match(refused.stderr, /log-key-changed/);
  },
);
