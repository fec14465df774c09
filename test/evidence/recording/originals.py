"""
A second reader of sealed originals, with age, zstd and hashlib alone: opens a segment's age file, puts each original in its place,
and prints as JSON the digest that the log should have promised and the values with their rules and places.

    python3 originals.py SESSION-DIRECTORY INDEX IDENTITY-FILE
"""
import hashlib
import json
import subprocess
import sys

WIDTH = {'row': 5, 'parameter': 4}  # integers of a place; 3 of every other part


def item(data, at):
    """The CBOR item (RFC 8949, definite lengths) at an offset, and where it ends."""
    major, size = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return {20: False, 21: True, 22: None}[size], at
    if size >= 24:
        length = 1 << (size - 24)
        size, at = int.from_bytes(data[at:at + length], 'big'), at + length
    if major == 0:
        return size, at
    if major in (2, 3):
        raw = data[at:at + size]
        return (raw if major == 2 else raw.decode()), at + size
    found = []
    for _ in range(size * (major - 3)):  # 4: array, 5: map
        value, at = item(data, at)
        found.append(value)
    return (found if major == 4 else dict(zip(found[::2], found[1::2]))), at


def items(data):
    at = 0
    while at < len(data):
        value, at = item(data, at)
        yield value


directory, index, identity = sys.argv[1:]
sealed = subprocess.check_output(['age', '-d', '-i', identity, f'{directory}/{index}.age'])
segment = subprocess.check_output(['zstd', '-dcq', f'{directory}/{index}.cbor.zst'])

salt, *originals = items(sealed)
assert salt[0] == 'salt' and len(salt[1]) == 32, 'the file does not begin with a salt'
originals = dict(originals)
rules, values = {}, []
for record in items(segment):
    if record[1] == 'rule':
        rules[record[2]] = record[3]
    if record[1] != 'redactions':
        continue
    part, _, subject, first, run = record[2:7]
    row, width = 0, WIDTH.get(part, 3)
    for n in range(len(run) // width):
        rule, *where, offset, length = run[n * width:(n + 1) * width]
        if part == 'row':
            row += where[0]
            where[0] = row
        values.append([rules[rule], part, subject, where, offset, length, originals.pop(first + n).decode('latin1')])
assert not originals, 'there are originals without a place'
print(json.dumps({'digest': hashlib.sha256(sealed).hexdigest(), 'values': values}))
