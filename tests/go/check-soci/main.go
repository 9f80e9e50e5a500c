// check-soci ZTOC LAYER: reads a table of contents with soci-snapshotter's library, verifies each span's digest, inflates every
// span from its checkpoint and compares it with the layer, a gzip file, and holds the entries against the tar in it.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
)

var kinds = map[byte]string{
	tar.TypeReg: "reg", tar.TypeRegA: "reg", tar.TypeDir: "dir", tar.TypeSymlink: "symlink", tar.TypeLink: "hardlink", //nolint:staticcheck
	tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo", tar.TypeGNUSparse: "reg",
}

// spans reads the tar through its checkpoints, one span after the other.
type spans struct {
	toc   *ztoc.Ztoc
	info  compression.Zinfo
	layer *os.File
	next  compression.SpanID
	left  []byte
	at    int64 // bytes that were read
}

func (s *spans) load() error {
	if s.next > s.info.MaxSpanID() {
		return io.EOF
	}
	begin, end := s.info.StartCompressedOffset(s.next), s.info.EndCompressedOffset(s.next, s.toc.CompressedArchiveSize)
	from, to := s.info.StartUncompressedOffset(s.next), s.info.EndUncompressedOffset(s.next, s.toc.UncompressedArchiveSize)
	packed := make([]byte, end-begin)
	if _, err := s.layer.ReadAt(packed, int64(begin)); err != nil {
		return err
	}
	var err error
	if s.left, err = s.info.ExtractDataFromBuffer(packed, to-from, from, s.next); err != nil {
		return fmt.Errorf("span %d: %w", s.next, err)
	}
	s.next++
	return nil
}

func (s *spans) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		if err := s.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	s.at += int64(n)
	return n, nil
}

func checkDigests(toc *ztoc.Ztoc, info compression.Zinfo, layer *os.File) error {
	if int(info.MaxSpanID())+1 != len(toc.SpanDigests) {
		return fmt.Errorf("%d spans, %d digests", info.MaxSpanID()+1, len(toc.SpanDigests))
	}
	for span := compression.SpanID(0); span <= info.MaxSpanID(); span++ {
		begin, end := info.StartCompressedOffset(span), info.EndCompressedOffset(span, toc.CompressedArchiveSize)
		got, err := digest.FromReader(io.NewSectionReader(layer, int64(begin), int64(end-begin)))
		if err != nil {
			return err
		}
		if got != toc.SpanDigests[span] {
			return fmt.Errorf("span %d (%d to %d) has the digest %s, not %s", span, begin, end, got, toc.SpanDigests[span])
		}
	}
	return nil
}

// checkTar holds what the spans give against what the whole layer inflates to. The table's size of the tar is where its reader
// stopped: what pads the tar behind that is not counted.
func checkTar(toc *ztoc.Ztoc, info compression.Zinfo, layer *os.File) error {
	inflated, err := gzip.NewReader(io.NewSectionReader(layer, 0, int64(toc.CompressedArchiveSize)))
	if err != nil {
		return err
	}
	through := &spans{toc: toc, info: info, layer: layer}
	want, got := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, end := io.ReadFull(through, got)
		if _, err := io.ReadFull(inflated, want[:n]); err != nil {
			return fmt.Errorf("the layer ends before byte %d: %w", through.at, err)
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("other bytes than the layer's within %d before %d", n, through.at)
		}
		if end == io.EOF || end == io.ErrUnexpectedEOF {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

func checkEntry(entry ztoc.FileMetadata, header *tar.Header) error {
	same := func(what string, a, b any) error {
		if a != b {
			return fmt.Errorf("%s: %s is %v, not %v", header.Name, what, a, b)
		}
		return nil
	}
	return errors.Join(
		same("name", entry.Name, header.Name), same("type", entry.Type, kinds[header.Typeflag]),
		same("size", int64(entry.UncompressedSize), header.Size), same("link", entry.Linkname, header.Linkname),
		same("mode", entry.Mode, header.Mode), same("owner", entry.UID, header.Uid), same("group", entry.GID, header.Gid),
		same("time", entry.ModTime.UTC().Format(time.RFC3339Nano), header.ModTime.UTC().Format(time.RFC3339Nano)),
		same("major", entry.Devmajor, header.Devmajor), same("minor", entry.Devminor, header.Devminor),
		same("xattrs", fmt.Sprint(ztoc.Xattrs(entry.PAXHeaders)), fmt.Sprint(ztoc.Xattrs(header.PAXRecords))))
}

func checkEntries(toc *ztoc.Ztoc, info compression.Zinfo, layer *os.File) error {
	raw := &spans{toc: toc, info: info, layer: layer}
	reader := tar.NewReader(raw)
	for i := 0; ; i++ {
		header, err := reader.Next()
		if err == io.EOF {
			if i != len(toc.FileMetadata) {
				return fmt.Errorf("%d entries, the tar has %d", len(toc.FileMetadata), i)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if i >= len(toc.FileMetadata) {
			return fmt.Errorf("%s is not in the table", header.Name)
		}
		entry := toc.FileMetadata[i]
		if err := checkEntry(entry, header); err != nil {
			return err
		}
		if int64(entry.UncompressedOffset) != raw.at && header.Size > 0 {
			return fmt.Errorf("%s begins at %d, not %d", header.Name, raw.at, entry.UncompressedOffset)
		}
	}
}

func check(tocPath, layerPath string) error {
	packed, err := os.Open(tocPath)
	if err != nil {
		return err
	}
	defer packed.Close()
	toc, err := ztoc.Unmarshal(packed)
	if err != nil {
		return err
	}
	layer, err := os.Open(layerPath)
	if err != nil {
		return err
	}
	defer layer.Close()
	if stat, err := layer.Stat(); err != nil || stat.Size() != int64(toc.CompressedArchiveSize) {
		return fmt.Errorf("the layer has not the %d bytes of its table", toc.CompressedArchiveSize)
	}
	info, err := toc.Zinfo()
	if err != nil {
		return err
	}
	defer info.Close()
	if err := errors.Join(checkDigests(toc, info, layer), checkTar(toc, info, layer), checkEntries(toc, info, layer)); err != nil {
		return err
	}
	fmt.Printf("%d entries, %d bytes, %d spans are right\n", len(toc.FileMetadata), toc.UncompressedArchiveSize, len(toc.SpanDigests))
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: check-soci ZTOC LAYER")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "check-soci:", err)
		os.Exit(1)
	}
}
