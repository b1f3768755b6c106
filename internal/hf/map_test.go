package hf

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// mapped opens a new file on the disk with a float32 and a bfloat16 tensor.
func mapped(t *testing.T) (path string, f *File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "m.safetensors")
	raw := file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}   `,
		0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x80, 0x3f, 0x40, 0x40)
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := MapFS(os.DirFS(filepath.Dir(path)), "m.safetensors", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return path, f
}

// Tensors of a mapped file have the values of one that is read, and what is
// written to them stays out of the file.
func TestMappedTensorsArePrivate(t *testing.T) {
	path, f := mapped(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := all["a"].Data, all["b"].Data; !slices.Equal(a, []float32{1, -2}) || !slices.Equal(b, []float32{1, 3}) {
		t.Errorf("a is %v, b %v", a, b)
	}
	a, b := f.Entries()[0], f.Entries()[1]
	onUnix := runtime.GOOS == "linux" || runtime.GOOS == "darwin"
	if f.InPlace(a) != onUnix || f.InPlace(b) {
		t.Errorf("in place: a %t, b %t", f.InPlace(a), f.InPlace(b))
	}
	if raw, err := f.Bytes(b); err != nil || !slices.Equal(raw, []byte{0x80, 0x3f, 0x40, 0x40}) {
		t.Errorf("bytes of b: %x, %v", raw, err)
	}
	all["a"].Data[0] = 7
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(before, after) {
		t.Errorf("the file changed (%v)", err)
	}
	if err := f.Unchanged(); err != nil {
		t.Error(err)
	}
}

// Bytes and values are the same where the file is not mapped.
func TestBytesOfAFileThatIsRead(t *testing.T) {
	path, _ := mapped(t)
	f, err := OpenFS(os.DirFS(filepath.Dir(path)), "m.safetensors", path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, err := f.Bytes(f.Entries()[1]); err != nil || !slices.Equal(raw, []byte{0x80, 0x3f, 0x40, 0x40}) || f.InPlace(f.Entries()[0]) {
		t.Errorf("bytes of b: %x, %v", raw, err)
	}
}

func TestUnchangedFindsWhatWasWritten(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return // nothing is mapped
	}
	for what, change := range map[string]func(path string) error{
		"cut short": func(path string) error { return os.Truncate(path, 20) },
		"rewritten": func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)) },
	} {
		path, f := mapped(t)
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if err := f.Unchanged(); err == nil || !strings.Contains(err.Error(), path+" was written to while it was in use") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
