/**
 * Loaded into a relay before its own code (`--import`): the scan for sensitive values fails where a marker is in what it looks
 * at, as a fault in a detector would. The relay itself has no way to be told to fail.
 */
import { inputAt } from '../../src/masking/scan/memory.ts';

const marker = Buffer.from('fault-in-detector');

WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct: (Instance, given: [WebAssembly.Module, WebAssembly.Imports?]) => {
    const instance = new Instance(...given);
    const { memory, scan } = instance.exports;
    if (!(memory instanceof WebAssembly.Memory) || typeof scan !== 'function') return instance;
    const bytes = Buffer.from(memory.buffer);
    const failing = (length: number): unknown => {
      if (bytes.subarray(inputAt, inputAt + length).includes(marker)) throw new RangeError('out of bounds');
      return Reflect.apply(scan, undefined, [length]);
    };
    return { exports: { memory, scan: failing } };
  },
});
