/** What counts as the address of a relay, and which may be reached without encryption. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { AgentError } from '../../src/agent/error.ts';
import { isLoopback, relayAddress } from '../../src/agent/relay-address.ts';

const normal: [typed: string, address: string][] = [
  ['https://Relay.Example.com', 'https://relay.example.com'],
  ['https://relay.example.com:443/', 'https://relay.example.com'],
  ['https://relay.example.com:8443/hoop/', 'https://relay.example.com:8443/hoop'],
  ['relay.example.com', 'https://relay.example.com'],
  ['relay.example.com:8443', 'https://relay.example.com:8443'],
  ['localhost:7443', 'http://localhost:7443'],
  ['http://localhost:7443/', 'http://localhost:7443'],
  ['http://127.0.0.1:7443', 'http://127.0.0.1:7443'],
  ['http://127.1:7443', 'http://127.0.0.1:7443'],
  ['http://[::1]:7443', 'http://[::1]:7443'],
  ['http://relay.localhost', 'http://relay.localhost'],
];
for (const [typed, address] of normal)
  test(`${typed} is ${address}`, () => assert.equal(relayAddress(typed), address));

const refused: [typed: string, code: string][] = [
  ['http://relay.example.com', 'relay-insecure'],
  ['http://localhost.example.com', 'relay-insecure'],
  ['http://127.0.0.1.example.com', 'relay-insecure'],
  ['http://10.0.0.1', 'relay-insecure'],
  ['http://[::ffff:10.0.0.1]', 'relay-insecure'],
  ['ftp://localhost', 'relay-address-invalid'],
  ['file:///etc/passwd', 'relay-address-invalid'],
  ['https://user:pass@relay.example.com', 'relay-address-invalid'],
  ['https://relay.example.com/?token=1', 'relay-address-invalid'],
  ['https://relay.example.com/#x', 'relay-address-invalid'],
  ['https://', 'relay-address-invalid'],
  ['', 'relay-address-invalid'],
  ['a b', 'relay-address-invalid'],
];
for (const [typed, code] of refused)
  test(`"${typed}" is refused: ${code}`, () => {
    assert.throws(
      () => relayAddress(typed),
      (error) => error instanceof AgentError && error.code === code && !error.message.includes('pass'),
    );
  });

test('loopback is told by name and number, never by resolving', () => {
  for (const host of ['localhost', 'a.localhost', '127.9.9.9', '::1', '[::1]'])
    assert.ok(isLoopback(host), host);
  for (const host of ['localhost.com', '0.0.0.0', '::', '::2', 'xlocalhost', ''])
    assert.ok(!isLoopback(host), host);
});
