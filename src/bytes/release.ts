/** Memory that is given back before the collector comes to it. */

/** Smaller memory may be part of one that others share. */
const leastReleased = 128 * 1024;

/**
 * At once; nothing may be read there any more, nor anywhere else in the memory that it is part of. V8 counts such memory, and collects
 * the whole heap whenever a few dozen megabytes of it have gone by.
 * @param bytes made by whoever releases them, or by a decompression
 */
export function release({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= leastReleased) buffer.transfer(0);
}
