// check-estargz BLOB TOC-DIGEST [DIFFID]: what stargz-snapshotter's own library makes of an eStargz
// layer: opened, its table of contents verified against the digest, every chunk of every file read
// and verified, and each file's whole digest compared. Prints how many files and chunks there were.
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/containerd/stargz-snapshotter/estargz"
	digest "github.com/opencontainers/go-digest"
)

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "check-estargz: "+format+"\n", args...)
	os.Exit(1)
}

type checker struct {
	reader        *estargz.Reader
	verifier      estargz.TOCEntryVerifier
	files, chunks int
}

// A regular file: its chunks as a reader that mounts it would find them.
func (c *checker) file(name string, entry *estargz.TOCEntry) {
	whole := sha256.New()
	for at := int64(0); at < entry.Size; {
		chunk, ok := c.reader.ChunkEntryForOffset(name, at)
		if !ok {
			die("%s: no chunk at %d", name, at)
		}
		data := make([]byte, chunk.ChunkSize)
		section, err := c.reader.OpenFile(name)
		if err != nil {
			die("%s: %v", name, err)
		}
		if _, err := section.ReadAt(data, at); err != nil && err != io.EOF {
			die("%s: at %d: %v", name, at, err)
		}
		verifier, err := c.verifier.Verifier(chunk)
		if err != nil {
			die("%s: at %d: %v", name, at, err)
		}
		_, _ = verifier.Write(data)
		if !verifier.Verified() {
			die("%s: the chunk at %d is not what its digest says", name, at)
		}
		whole.Write(data)
		at += chunk.ChunkSize
		c.chunks++
	}
	if got := digest.NewDigest(digest.SHA256, whole); got.String() != entry.Digest {
		die("%s: is %s, not %s", name, got, entry.Digest)
	}
	c.files++
}

func (c *checker) walk(name string, entry *estargz.TOCEntry) {
	entry.ForeachChild(func(base string, child *estargz.TOCEntry) bool {
		below := path.Join(name, base)
		switch child.Type {
		case "dir":
			c.walk(below, child)
		case "reg":
			c.file(below, child)
		}
		return true
	})
}

func main() {
	if len(os.Args) < 3 {
		die("usage: check-estargz BLOB TOC-DIGEST [DIFFID]")
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		die("%v", err)
	}
	info, err := file.Stat()
	if err != nil {
		die("%v", err)
	}
	reader, err := estargz.Open(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		die("%v", err)
	}
	verifier, err := reader.VerifyTOC(digest.Digest(os.Args[2]))
	if err != nil {
		die("%v", err)
	}
	checker := checker{reader: reader, verifier: verifier}
	root, ok := reader.Lookup("")
	if !ok {
		die("there is no root")
	}
	checker.walk("", root)
	if len(os.Args) > 3 {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			die("%v", err)
		}
		plain, err := gzip.NewReader(file)
		if err != nil {
			die("%v", err)
		}
		whole := sha256.New()
		if _, err := io.Copy(whole, plain); err != nil {
			die("%v", err)
		}
		if got := digest.NewDigest(digest.SHA256, whole); got.String() != os.Args[3] {
			die("the tar is %s, not %s", got, os.Args[3])
		}
	}
	fmt.Printf("%d files, %d chunks\n", checker.files, checker.chunks)
}
