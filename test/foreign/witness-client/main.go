// Brings checkpoints of a log of its own to a witness, by Go's own note and tlog packages: it signs them, makes the
// consistency proofs, and verifies the cosignatures (https://c2sp.org/tlog-cosignature).
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	text := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(text), sig[8:])
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parseCosigner(vkey string) cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	check(err)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	if key[0] != 4 {
		check(fmt.Errorf("not the key of a witness"))
	}
	return cosigner{parts[0], uint32(hash), key[1:]}
}

func main() {
	url, witness, skey := os.Args[1], parseCosigner(os.Args[2]), os.Args[3]
	signer, err := note.NewSigner(skey)
	check(err)
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	size, old := int64(0), int64(0)
	for _, next := range []int64{1, 2, 7, 8, 255, 256, 1000} {
		for ; size < next; size++ {
			hashes, err := tlog.StoredHashes(size, []byte(fmt.Sprint("entry ", size)), reader)
			check(err)
			stored = append(stored, hashes...)
		}
		root, err := tlog.TreeHash(size, reader)
		check(err)
		text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, root)
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		check(err)
		var body bytes.Buffer
		fmt.Fprintf(&body, "old %d\n", old)
		if old > 0 {
			proof, err := tlog.ProveTree(size, old, reader)
			check(err)
			for _, h := range proof {
				fmt.Fprintf(&body, "%s\n", h)
			}
		}
		body.WriteString("\n")
		body.Write(signed)
		answer, err := http.Post(url+"/add-checkpoint", "text/plain", &body)
		check(err)
		lines, err := io.ReadAll(answer.Body)
		check(err)
		if answer.StatusCode != 200 {
			check(fmt.Errorf("size %d: %d %s", size, answer.StatusCode, lines))
		}
		opened, err := note.Open(append(signed, lines...), note.VerifierList(witness))
		check(err)
		if len(opened.Sigs) != 1 || opened.Text != text {
			check(fmt.Errorf("size %d is not cosigned", size))
		}
		old = size
	}
	fmt.Println("cosigned up to", size)
}
