// Package layout reads and writes OCI image layouts, as much as the test tools need.
package layout

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const refName = "org.opencontainers.image.ref.name"

// Layout is a folder.
type Layout string

// Create makes an empty one; it must not be there.
func Create(path string) (Layout, error) {
	if err := os.MkdirAll(filepath.Join(path, "blobs", "sha256"), 0o755); err != nil {
		return "", err
	}
	return Layout(path), os.WriteFile(filepath.Join(path, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// Path of a blob.
func (l Layout) Path(d digest.Digest) string {
	return filepath.Join(string(l), "blobs", d.Algorithm().String(), d.Encoded())
}

// Read decodes a blob that is JSON.
func (l Layout) Read(d digest.Digest, into any) error {
	text, err := os.ReadFile(l.Path(d))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// Write encodes a document into a blob.
func (l Layout) Write(mediaType string, document any) (ocispec.Descriptor, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	return desc, os.WriteFile(l.Path(desc.Digest), text, 0o644)
}

// Add takes the blobs that write puts out.
func (l Layout) Add(write func(io.Writer) error) (digest.Digest, int64, error) {
	file, err := os.CreateTemp(string(l), "blob")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	digester := digest.SHA256.Digester()
	if err := write(io.MultiWriter(file, digester.Hash())); err != nil {
		return "", 0, err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", 0, err
	}
	return digester.Digest(), size, os.Rename(file.Name(), l.Path(digester.Digest()))
}

// Copy brings a blob from another layout.
func (l Layout) Copy(from Layout, d digest.Digest) error {
	in, err := os.Open(from.Path(d))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(l.Path(d))
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// CopyAll brings everything that the descriptor leads to.
func (l Layout) CopyAll(from Layout, desc ocispec.Descriptor) error {
	if err := l.Copy(from, desc.Digest); err != nil {
		return err
	}
	var document struct {
		Config            *ocispec.Descriptor
		Layers, Manifests []ocispec.Descriptor
	}
	if desc.MediaType != ocispec.MediaTypeImageManifest && desc.MediaType != ocispec.MediaTypeImageIndex {
		return nil
	}
	if err := from.Read(desc.Digest, &document); err != nil {
		return err
	}
	children := append(document.Layers, document.Manifests...)
	if document.Config != nil {
		children = append(children, *document.Config)
	}
	for _, child := range children {
		if err := l.CopyAll(from, child); err != nil {
			return err
		}
	}
	return nil
}

// Find gives what a tag names.
func (l Layout) Find(tag string) (ocispec.Descriptor, error) {
	var index ocispec.Index
	text, err := os.ReadFile(filepath.Join(string(l), "index.json"))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, desc := range index.Manifests {
		if desc.Annotations[refName] == tag {
			desc.Annotations = nil
			return desc, nil
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("%s has no tag %s", l, tag)
}

// Tag writes index.json: the first one gets the tag, others stand beside it.
func (l Layout) Tag(tag string, descs ...ocispec.Descriptor) error {
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: descs}
	index.SchemaVersion = 2
	index.Manifests[0].Annotations = map[string]string{refName: tag}
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(string(l), "index.json"), text, 0o644)
}
