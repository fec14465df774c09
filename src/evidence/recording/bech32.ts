/** Bech32 (BIP 173, https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki) without its limit of length, as age uses it. */

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const checksumLength = 6;

/** The bytes after `prefix`; null when checksum, prefix or alphabet are not right. Lower case only. */
export function decodeBech32(prefix: string, text: string): Buffer | null {
  if (text.length > 1000 || !text.startsWith(`${prefix}1`)) return null;
  const values = Array.from(text.slice(prefix.length + 1), (letter) => alphabet.indexOf(letter));
  if (values.length < checksumLength || values.includes(-1)) return null;
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  const expanded = [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
  if (polymod([...expanded, ...values]) !== 1) return null;
  return joinBits(values.slice(0, -checksumLength));
}

function polymod(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ff_ffff) << 5) ^ value;
    for (const [bit, term] of generator.entries()) if ((top >>> bit) & 1) sum ^= term;
  }
  return sum >>> 0;
}

/** Groups of five bits to bytes; null when what is left over is not padding. */
function joinBits(groups: readonly number[]): Buffer | null {
  const bytes: number[] = [];
  let [held, bits] = [0, 0];
  for (const group of groups) {
    held = ((held << 5) | group) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >>> bits) & 0xff);
  }
  return bits < 5 && (held & ((1 << bits) - 1)) === 0 ? Buffer.from(bytes) : null;
}
