/**
 * Memory that bytes pass through, used again and again: a buffer allocated for each read or write would cost the
 * garbage collector more than the bytes cost everything else. Taken and given back by whoever copies bytes into it.
 *
 * Invariant: nobody outside of the taker ever sees more of it than what the taker has written, and the taker gives it
 * back only when nothing reads it any more; else bytes of one connection could show up in another.
 */

/** Sizes, and how many unused ones are kept. */
const classes = [
  { bytes: 4 * 1024, kept: 64 },
  { bytes: 16 * 1024, kept: 32 },
  { bytes: 64 * 1024, kept: 32 },
  { bytes: 384 * 1024, kept: 8 },
] as const;

const unused: readonly Buffer[][] = classes.map(() => []);

/** At least so many bytes, holding anything; the taker's alone until it gives them back. */
export function takeMemory(bytes: number): Buffer {
  for (let i = 0; i < classes.length; i++) {
    const size = classes[i]!.bytes;
    if (bytes <= size) return unused[i]!.pop() ?? Buffer.allocUnsafeSlow(size);
  }
  return Buffer.allocUnsafeSlow(bytes);
}

/** Gives back what `takeMemory` returned, once, and not a part of it. Nothing may read or write it afterwards. */
export function giveMemory(memory: Buffer): void {
  for (let i = 0; i < classes.length; i++) {
    if (memory.length !== classes[i]!.bytes) continue;
    const kept = unused[i]!;
    if (kept.length < classes[i]!.kept) kept.push(memory);
    return;
  }
}
