// check-soci ZTOC LAYER: reads a table of contents with soci-snapshotter's library, holds its entries against the tar that the
// layer, a gzip file, inflates to, verifies each span's digest, and extracts each regular file through its checkpoints and
// compares it. Prints how many.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/awslabs/soci-snapshotter/ztoc"
	"github.com/awslabs/soci-snapshotter/ztoc/compression"
	"github.com/opencontainers/go-digest"
)

var kinds = map[byte]string{
	tar.TypeReg: "reg", tar.TypeRegA: "reg", tar.TypeDir: "dir", tar.TypeSymlink: "symlink", tar.TypeLink: "hardlink", //nolint:staticcheck
	tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo", tar.TypeGNUSparse: "reg",
}

// counted knows how many bytes of the tar have been read.
type counted struct {
	in io.Reader
	at int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.at += int64(n)
	return n, err
}

func checkSpans(toc *ztoc.Ztoc, layer *os.File) error {
	info, err := toc.Zinfo()
	if err != nil {
		return err
	}
	defer info.Close()
	if int(info.MaxSpanID())+1 != len(toc.SpanDigests) {
		return fmt.Errorf("%d spans, %d digests", info.MaxSpanID()+1, len(toc.SpanDigests))
	}
	for span := compression.SpanID(0); span <= info.MaxSpanID(); span++ {
		begin := info.StartCompressedOffset(span)
		end := info.EndCompressedOffset(span, toc.CompressedArchiveSize)
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

// extract reads a file through the nearest checkpoint. (Ztoc.ExtractFile looks names up, and a name may be there twice.)
func extract(toc *ztoc.Ztoc, info compression.Zinfo, layer *os.File, entry ztoc.FileMetadata) ([]byte, error) {
	if entry.UncompressedSize == 0 {
		return nil, nil
	}
	first := info.UncompressedOffsetToSpanID(entry.UncompressedOffset)
	last := info.UncompressedOffsetToSpanID(entry.UncompressedOffset + entry.UncompressedSize)
	begin := info.StartCompressedOffset(first)
	end := info.EndCompressedOffset(last, toc.CompressedArchiveSize)
	packed := make([]byte, end-begin)
	if _, err := layer.ReadAt(packed, int64(begin)); err != nil {
		return nil, err
	}
	return info.ExtractDataFromBuffer(packed, entry.UncompressedSize, entry.UncompressedOffset, first)
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
	if err := checkSpans(toc, layer); err != nil {
		return err
	}
	info, err := toc.Zinfo()
	if err != nil {
		return err
	}
	defer info.Close()
	inflated, err := gzip.NewReader(io.NewSectionReader(layer, 0, int64(toc.CompressedArchiveSize)))
	if err != nil {
		return err
	}
	raw := &counted{in: inflated}
	reader := tar.NewReader(raw)
	files := 0
	for i := 0; ; i++ {
		header, err := reader.Next()
		if err == io.EOF {
			if i != len(toc.FileMetadata) {
				return fmt.Errorf("%d entries, the tar has %d", len(toc.FileMetadata), i)
			}
			break
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
		if entry.Type != "reg" || strings.HasPrefix(header.PAXRecords["GNU.sparse.major"], "1") {
			continue // a sparse file's payload is not its content
		}
		if int64(entry.UncompressedOffset) != raw.at && header.Size > 0 {
			return fmt.Errorf("%s begins at %d, not %d", header.Name, raw.at, entry.UncompressedOffset)
		}
		want, err := io.ReadAll(reader)
		if err != nil {
			return err
		}
		got, err := extract(toc, info, layer, entry)
		if err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: not its content", header.Name)
		}
		files++
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return err
	}
	if raw.at != int64(toc.UncompressedArchiveSize) {
		return fmt.Errorf("the tar has %d bytes, not %d", raw.at, toc.UncompressedArchiveSize)
	}
	fmt.Printf("%d entries, %d files, %d spans are right\n", len(toc.FileMetadata), files, len(toc.SpanDigests))
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
