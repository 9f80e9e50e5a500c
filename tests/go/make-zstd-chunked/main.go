// make-zstd-chunked IN OUT: writes the OCI layout OUT with the image "latest" of the OCI layout IN, its layers compressed as
// zstd:chunked by what podman, buildah and skopeo compress with: 64-byte footer, tar-split, annotations.
package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/containers/storage/pkg/chunked/compressor"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/vbatts/tar-split/tar/storage"

	"orlop/tests/go/layout"
)

const mediaTypeZstd = ocispec.MediaTypeImageLayer + "+zstd"

// inflate gives the layer's tar.
func inflate(mediaType string, in io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		return gzip.NewReader(in)
	case strings.HasSuffix(mediaType, "zstd"):
		return zstd.NewReader(in)
	case strings.HasSuffix(mediaType, "tar"):
		return in, nil
	}
	return nil, fmt.Errorf("no layer: %s", mediaType)
}

func convertLayer(in, out layout.Layout, layer ocispec.Descriptor) (ocispec.Descriptor, error) {
	file, err := os.Open(in.Path(layer.Digest))
	if err != nil {
		return layer, err
	}
	defer file.Close()
	raw, err := inflate(layer.MediaType, file)
	if err != nil {
		return layer, err
	}
	annotations := map[string]string{}
	level := 3
	digest, size, err := out.Add(func(to io.Writer) error {
		chunked, err := compressor.ZstdCompressor(to, annotations, &level)
		if err != nil {
			return err
		}
		if _, err := io.Copy(chunked, raw); err != nil {
			chunked.Close()
			return err
		}
		return chunked.Close()
	})
	if errors.Is(err, storage.ErrDuplicatePath) {
		fmt.Fprintf(os.Stderr, "make-zstd-chunked: %s stays as it is: %v\n", layer.Digest, err)
		return layer, out.Copy(in, layer.Digest)
	}
	layer.MediaType, layer.Digest, layer.Size = mediaTypeZstd, digest, size
	if layer.Annotations == nil {
		layer.Annotations = map[string]string{}
	}
	maps.Copy(layer.Annotations, annotations)
	return layer, err
}

func convert(in, out layout.Layout) error {
	desc, err := in.Find("latest")
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := in.Read(desc.Digest, &manifest); err != nil {
		return err
	}
	if len(manifest.Layers) == 0 {
		return fmt.Errorf("%s is no single image", in)
	}
	for i, layer := range manifest.Layers {
		if manifest.Layers[i], err = convertLayer(in, out, layer); err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	if err := out.Copy(in, manifest.Config.Digest); err != nil {
		return err
	}
	if desc, err = out.Write(ocispec.MediaTypeImageManifest, manifest); err != nil {
		return err
	}
	return out.Tag("latest", desc)
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: make-zstd-chunked IN OUT")
	}
	out, err := layout.Create(os.Args[2])
	if err != nil {
		return err
	}
	return convert(layout.Layout(os.Args[1]), out)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "make-zstd-chunked:", err)
		os.Exit(1)
	}
}
