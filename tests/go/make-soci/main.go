// make-soci [-v1] [-min BYTES] [-span BYTES] IN OUT: writes the OCI layout OUT with the image "latest" of the OCI layout IN and
// the SOCI index that soci-snapshotter makes of it.
//
// As v2 (the default) the tag names an index with the image and its SOCI index. With -v1 the image stays as it is, and its SOCI
// index, which has it as subject, stands beside it in index.json without a tag.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/awslabs/soci-snapshotter/soci"
	"github.com/awslabs/soci-snapshotter/soci/store"
	"github.com/containerd/containerd/content"
	"github.com/containerd/containerd/content/local"
	"github.com/containerd/containerd/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"orlop/tests/go/layout"
)

// blobs is a content store as soci-snapshotter wants it; nothing is ever collected in it.
type blobs struct{ content.Store }

func (b blobs) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	_, err := b.Info(ctx, desc.Digest)
	if errors.Is(err, errdefs.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (b blobs) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	at, err := b.ReaderAt(ctx, desc)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(at, 0, at.Size()), at}, nil
}

func (b blobs) Push(ctx context.Context, desc ocispec.Descriptor, in io.Reader) error {
	return content.WriteBlob(ctx, b.Store, desc.Digest.String(), in, desc)
}

func (b blobs) Label(context.Context, ocispec.Descriptor, string, string) error { return nil }
func (b blobs) Delete(context.Context, digest.Digest) error                     { return nil }
func (b blobs) BatchOpen(ctx context.Context) (context.Context, store.CleanupFunc, error) {
	return ctx, store.NopCleanup, nil
}

type options struct {
	v1        bool
	min, span int64
	in, out   string
}

func build(o options) error {
	ctx := context.Background()
	in := layout.Layout(o.in)
	desc, err := in.Find("latest")
	if err != nil {
		return err
	}
	out, err := layout.Create(o.out)
	if err != nil {
		return err
	}
	if err := out.CopyAll(in, desc); err != nil {
		return err
	}
	kept, err := local.NewStore(o.out) // a layout's blobs/ are where it has its own
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(o.out, "ingest"))
	scratch, err := os.MkdirTemp("", "make-soci")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	db, err := soci.NewDB(filepath.Join(scratch, "artifacts.db"))
	if err != nil {
		return err
	}
	builder, err := soci.NewIndexBuilder(kept, blobs{kept}, soci.WithMinLayerSize(o.min), soci.WithSpanSize(o.span),
		soci.WithArtifactsDb(db))
	if err != nil {
		return err
	}
	image := images.Image{Name: "image", Target: desc}
	if o.v1 {
		index, err := builder.Build(ctx, image)
		if err != nil {
			return err
		}
		return out.Tag("latest", desc, index.Desc)
	}
	converted, err := builder.Convert(ctx, image)
	if err != nil {
		return err
	}
	return out.Tag("latest", *converted)
}

func main() {
	var o options
	flag.BoolVar(&o.v1, "v1", false, "an index with a subject")
	flag.Int64Var(&o.min, "min", 10<<20, "no table for smaller layers, in bytes")
	flag.Int64Var(&o.span, "span", 4<<20, "bytes of the tar between checkpoints")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: make-soci [-v1] [-min BYTES] [-span BYTES] IN OUT")
		os.Exit(2)
	}
	o.in, o.out = flag.Arg(0), flag.Arg(1)
	if err := build(o); err != nil {
		fmt.Fprintln(os.Stderr, "make-soci:", err)
		os.Exit(1)
	}
}
