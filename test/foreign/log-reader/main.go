// A foreign reader of hoop's log: Go's own note and tlog packages verify the checkpoint and, for every entry, an inclusion
// proof that they compute from the tiles; and the consistency of an older checkpoint with the newer one.
//
//	main <log directory> <vkey> [<older checkpoint file>]
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// tiles reads C2SP paths: those of Go's module proxy without the height element.
type tiles struct{ dir string }

func (t tiles) Height() int                                  { return height }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte)           {}
func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range list {
		name := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		bytes, err := os.ReadFile(filepath.Join(t.dir, name))
		if err != nil && tile.W < 1<<height {
			// The wider tile has the same hashes in front, as the specification says.
			full := tile
			full.W = 1 << height
			name = strings.Replace(full.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
			if bytes, err = os.ReadFile(filepath.Join(t.dir, name)); err == nil {
				bytes = bytes[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		found = append(found, bytes)
	}
	return found, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func checkpoint(file string, verifier note.Verifier) (int64, tlog.Hash) {
	bytes, err := os.ReadFile(file)
	check(err)
	opened, err := note.Open(bytes, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		check(fmt.Errorf("origin is %q", lines[0]))
	}
	var size int64
	_, err = fmt.Sscanf(lines[1], "%d", &size)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return size, root
}

func main() {
	dir := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	size, root := checkpoint(filepath.Join(dir, "checkpoint"), verifier)
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{dir})

	var index int64
	for index < size {
		bundle := tlog.Tile{H: height, L: 0, N: index >> height, W: 1 << height}
		if rest := size - index; rest < 1<<height {
			bundle.W = int(rest)
		}
		name := strings.Replace(bundle.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
		bytes, err := os.ReadFile(filepath.Join(dir, name))
		check(err)
		for len(bytes) > 0 {
			length := 2 + int(binary.BigEndian.Uint16(bytes))
			proof, err := tlog.ProveRecord(size, index, reader)
			check(err)
			check(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(bytes[2:length])))
			bytes = bytes[length:]
			index++
		}
	}

	if len(os.Args) > 3 {
		older, olderRoot := checkpoint(os.Args[3], verifier)
		proof, err := tlog.ProveTree(size, older, reader)
		check(err)
		check(tlog.CheckTree(proof, size, root, older, olderRoot))
		fmt.Printf("%d extends %d\n", size, older)
	}
	fmt.Printf("%d entries in %s\n", index, verifier.Name())
}
