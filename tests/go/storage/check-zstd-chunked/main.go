// check-zstd-chunked LAYOUT SCRATCH: pulls every layer of the image in an OCI layout by pieces, with containers/storage, the
// library that podman and CRI-O do it with, into a store in SCRATCH: the table of contents is held against the tar-split,
// and each layer's tar is put together again from what was stored and compared with its DiffID. A layer without a table of
// contents is passed over, aloud. Needs root. (Build tag exclude_graphdriver_btrfs: no headers of btrfs are needed.)
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containers/storage"
	graphdriver "github.com/containers/storage/drivers"
	"github.com/containers/storage/pkg/archive"
	"github.com/containers/storage/pkg/chunked"
	"github.com/containers/storage/pkg/chunked/toc"
	"github.com/containers/storage/pkg/reexec"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// A blob of the layout, read by ranges as from a registry.
type blob struct {
	file    *os.File
	fetched uint64
}

func (b *blob) GetBlobAt(chunks []chunked.ImageSourceChunk) (chan io.ReadCloser, chan error, error) {
	streams, errs := make(chan io.ReadCloser), make(chan error)
	go func() {
		defer close(errs)
		defer close(streams)
		for _, c := range chunks {
			b.fetched += c.Length
			streams <- io.NopCloser(io.NewSectionReader(b.file, int64(c.Offset), int64(c.Length)))
		}
	}()
	return streams, errs, nil
}

func load(layout string, digest digest.Digest, into any) error {
	bytes, err := os.ReadFile(filepath.Join(layout, "blobs", digest.Algorithm().String(), digest.Encoded()))
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes, into)
}

func pull(store storage.Store, layout string, layer v1.Descriptor, diffID digest.Digest, n int) error {
	file, err := os.Open(filepath.Join(layout, "blobs", layer.Digest.Algorithm().String(), layer.Digest.Encoded()))
	if err != nil {
		return err
	}
	defer file.Close()
	source := &blob{file: file}
	differ, err := chunked.NewDiffer(context.Background(), store, layer.Digest, layer.Size, layer.Annotations, source)
	if err != nil {
		return err
	}
	defer differ.Close()
	options := &graphdriver.ApplyDiffWithDifferOpts{}
	output, err := store.PrepareStagedLayer(options, differ)
	if err != nil {
		return err
	}
	if output.UncompressedDigest != "" && output.UncompressedDigest != diffID {
		return fmt.Errorf("the layer is %s, not %s", output.UncompressedDigest, diffID)
	}
	made, err := store.ApplyStagedLayer(storage.ApplyStagedLayerOptions{
		ID: fmt.Sprintf("layer%d", n), DiffOutput: output, DiffOptions: options,
	})
	if err != nil {
		return err
	}
	plain := archive.Uncompressed
	tar, err := store.Diff("", made.ID, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return err
	}
	defer tar.Close()
	got, err := digest.FromReader(tar)
	if err != nil {
		return err
	}
	if got != diffID {
		return fmt.Errorf("what is stored gives %s, not %s", got, diffID)
	}
	fmt.Printf("layer %d: %d of %d bytes fetched by ranges\n", n, source.fetched, layer.Size)
	return nil
}

func run(layout, scratch string) error {
	var index v1.Index
	bytes, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes, &index); err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := load(layout, index.Manifests[0].Digest, &manifest); err != nil {
		return err
	}
	var config v1.Image
	if err := load(layout, manifest.Config.Digest, &config); err != nil {
		return err
	}
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(scratch, "root"), RunRoot: filepath.Join(scratch, "run"), GraphDriverName: "overlay",
		PullOptions: map[string]string{"enable_partial_images": "true"},
	})
	if err != nil {
		return err
	}
	defer func() { _, _ = store.Shutdown(true) }()
	for n, layer := range manifest.Layers {
		bound, err := toc.GetTOCDigest(layer.Annotations)
		if err != nil {
			return err
		}
		if bound == nil {
			fmt.Printf("layer %d: without a table of contents\n", n)
			continue
		}
		if err := pull(store, layout, layer, config.RootFS.DiffIDs[n], n); err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
	}
	return nil
}

func main() {
	if reexec.Init() {
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: check-zstd-chunked LAYOUT SCRATCH")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "check-zstd-chunked:", err)
		os.Exit(1)
	}
}
