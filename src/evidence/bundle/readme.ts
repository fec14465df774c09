/** `README.md` of a bundle: how to verify it by hand. A test follows it word by word. */
import type { BundleInfo } from './manifest.ts';

/** @param sessions whose recordings are in the bundle; null: all */
export function* readme(info: BundleInfo, sessions: ReadonlySet<string> | null): Generator<string> {
  yield `# Evidence\n\n`;
  yield `Exported ${info.begun} from ${info.relay === null ? 'an evidence directory' : escaped(info.relay)}.\n`;
  yield inside(info, sessions);
  yield text;
}

function inside({ filter }: BundleInfo, sessions: ReadonlySet<string> | null): string {
  if (sessions === null)
    return 'It holds the whole record: the log, and the recordings of all its sessions.\n';
  const asked = Object.entries(filter).map(([name, value]) => `${name} ${escaped(String(value))}`);
  return (
    `It holds the whole log, and the recordings of ${sessions.size} of its sessions (\`scope.json\`): ` +
    `those of ${asked.join(', ')}. Recordings of other sessions are not in it.\n`
  );
}

/** Somebody's words in a page that others read. */
const escaped = (words: string): string => `\`${words.replaceAll(/[`\p{Cc}]/gu, '?')}\``;

const text = `
| file | what it is |
|---|---|
| \`log/\` | the log: signed checkpoint, hashes and entries ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)) |
| \`recordings/\` | what was done and what came back: CBOR, compressed by zstd, a directory a session; \`.age\`: sealed originals |
| \`logins/\`, \`issuers/\` | what the identity providers signed, for whoever acted |
| \`events.jsonl\`, \`events.csv\` | the same history, one line for each thing that happened: made from the files above when this was exported |
| \`events.ocsf.jsonl\` | the same as events of [OCSF 1.6.0](https://schema.ocsf.io/1.6.0) |
| \`controls.md\`, \`controls.json\` | controls of NIST SP 800-53, the records that bear on each, and what is not shown |
| \`tasks.json\` | tasks with their sub-tasks, sessions and commands |
| \`bundle.json\`, \`scope.json\` | what was asked for |
| \`manifest.json\`, \`manifest.sig\` | the SHA-256 of every file, and who exported it |

Everything rests on the log's public key, a line like \`relay.example.com/log+a5764acd+AepK…\`. Get it from the relay's operator or
from whoever set the relay up, **not** from whoever sent this file.

With the program: \`hoop audit verify BUNDLE.zip --vkey KEY\` does all of what follows, and more (signatures of people, reviews,
attribution): it reads the ZIP where it lies and needs no network.

## By hand

Needs unzip, sha256sum, python3, and for the signatures a tool for [C2SP signed notes](https://c2sp.org/signed-note): here Go
with \`golang.org/x/mod\` (in \`note/\`: \`go mod init note && go get golang.org/x/mod/sumdb/note\`; with Debian's packages instead
\`GO111MODULE=off GOPATH=/usr/share/gocode\`). \`BUNDLE\` is this file, \`VKEY\` the log's key. Each block begins in the directory
where \`bundle/\` is to lie; run them with \`bash -e -o pipefail\`, so that one that fails says nothing more.

1. Unpack it, and see that every file is the one that the manifest names.

\`\`\`sh
unzip -q "$BUNDLE" -d bundle
cd bundle
python3 -c 'import json; [print(f["sha256"] + "  " + f["name"]) for f in json.load(open("manifest.json"))["files"]]' | sha256sum -c --quiet
echo "files: as the manifest says"
\`\`\`

2. The checkpoint is signed by the log's key. Where there is a \`manifest.sig\`, so is the manifest: it names its digest, and the
   entry of the log that tells who exported it.

\`\`\`sh
cd bundle
mkdir -p ../note
cat > ../note/main.go <<'EOF'
package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err == nil {
		var bytes []byte
		if bytes, err = io.ReadAll(os.Stdin); err == nil {
			var opened *note.Note
			if opened, err = note.Open(bytes, note.VerifierList(verifier)); err == nil {
				fmt.Print(opened.Text)
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
EOF
go build -o ../note/note ../note/main.go
../note/note "$VKEY" < log/checkpoint > ../checkpoint.txt
echo "checkpoint: signed"
if [ -e manifest.sig ]; then
  ../note/note "$VKEY" < manifest.sig > ../manifest.txt
  grep -qx "manifest sha256 $(sha256sum manifest.json | cut -c 1-64)" ../manifest.txt
  echo "manifest: signed"
fi
\`\`\`

3. The entries of the log give the root that the checkpoint signs ([RFC 6962](https://www.rfc-editor.org/rfc/rfc6962)): none was
   changed, removed or added. They are written to \`entries.jsonl\`, one a line, to be read.

\`\`\`sh
cd bundle
python3 - > ../root.txt <<'EOF'
import base64, glob, hashlib, os, re
prefix = 'log/tile/entries/'
bundles = [f for f in glob.glob(prefix + '**', recursive=True) if os.path.isfile(f)]
bundles.sort(key=lambda f: int(re.sub('[x/]', '', f[len(prefix):].split('.p/')[0])))
sha = lambda b: hashlib.sha256(b).digest()
stack, size = [], 0
with open('../entries.jsonl', 'wb') as out:
    for name in bundles:
        data, at = open(name, 'rb').read(), 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at:at + 2], 'big')
            out.write(data[at + 2:end] + b'\\n')
            stack.append(sha(b'\\0' + data[at + 2:end]))
            at, size = end, size + 1
            n = size
            while n % 2 == 0:
                right, left = stack.pop(), stack.pop()
                stack.append(sha(b'\\1' + left + right))
                n //= 2
root = stack.pop() if stack else sha(b'')
while stack:
    root = sha(b'\\1' + stack.pop() + root)
print(size, base64.b64encode(root).decode(), sep='\\n')
EOF
sed -n 2,3p ../checkpoint.txt | cmp - ../root.txt
echo "entries: the root is the signed one"
\`\`\`

4. The recordings are those that the log names. Sealed originals are those that an auditor sealed anew last
   (\`originals.resealed\`); a file may be missing only where the log says that it was erased (\`evidence.erased\`).

\`\`\`sh
cd bundle
python3 - > ../recordings.sha256 <<'EOF'
import json, os
scope = json.load(open('scope.json'))['sessions'] if os.path.exists('scope.json') else None
opened, digests, erased = {}, {}, set()
for line in open('../entries.jsonl', encoding='utf-8', newline='\\n'):
    entry = json.loads(line)
    if entry['kind'] == 'session.opened':
        opened[entry['session']] = entry['time'][:10].replace('-', '/')
    elif entry['kind'] == 'segment' and (scope is None or entry['session'] in scope):
        name = f"recordings/{opened[entry['session']]}/{entry['session']}/{entry['index']}"
        digests[name + '.cbor.zst'] = entry['sha256']
        if entry['sealed']:
            digests[name + '.age'] = entry['sealed']
    elif entry['kind'] == 'originals.resealed' and (scope is None or entry['session'] in scope):
        digests[f"recordings/{opened[entry['session']]}/{entry['session']}/{entry['segment']}.age"] = entry['to']
    elif entry['kind'] == 'evidence.erased':
        erased.add((entry['session'], '.age'))
        if entry['what'] == 'recording':
            erased.add((entry['session'], '.cbor.zst'))
for name, sha256 in digests.items():
    session, file = name.split('/')[-2:]
    if os.path.exists(name) or (session, file[file.index('.'):]) not in erased:
        print(sha256 + '  ' + name)
EOF
if [ -s ../recordings.sha256 ]; then sha256sum -c --quiet ../recordings.sha256; fi
echo "recordings: as the log says"
\`\`\`

A recording opens with \`zstd -dc 0.cbor.zst\` and any CBOR reader, \`.age\` with \`age -d\` and an auditor's identity.

## What this shows, and what not

- Log and recordings are proven by the log's key alone, whoever made this file. \`events.*\`, \`controls.*\` and \`tasks.json\` were made from them by whoever exported;
  the manifest and its signature tell who that was, and that nothing was changed since. Without \`manifest.sig\` nothing ties them
  to anybody: read \`log/\` and \`recordings/\`.
- A log that was rolled back to an earlier state of its own is found only against a checkpoint that you kept, or by witnesses.
`;
