package hf

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// written is a safetensors file of tensors of one value each.
func written(t testing.TB, values map[string]float32) *fstest.MapFile {
	t.Helper()
	tensors := make(map[string]Tensor)
	for name, v := range values {
		tensors[name] = Tensor{Shape: []int{1}, Data: []float32{v}}
	}
	var b bytes.Buffer
	if err := Write(&b, tensors, F32); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func sharded(t testing.TB, index string) fstest.MapFS {
	return fstest.MapFS{
		IndexFile:                          {Data: []byte(index)},
		"model-00001-of-00002.safetensors": written(t, map[string]float32{"b": 2, "c": 3}),
		"model-00002-of-00002.safetensors": written(t, map[string]float32{"a": 1, "d": 4}),
	}
}

const goodIndex = `{"metadata":{"total_size":16},"weight_map":{"a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors",` +
	`"c":"model-00001-of-00002.safetensors","d":"model-00002-of-00002.safetensors"}}`

// Weights in several files are read as if they were in one.
func TestShards(t *testing.T) {
	src := sharded(t, goodIndex)
	f, err := OpenModel(src)
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range f.Entries() {
		if want := string(rune('a' + i)); e.Name != want || all[e.Name].Data[0] != float32(i+1) {
			t.Errorf("tensor %d is %s with %v", i, e.Name, all[e.Name].Data)
		}
	}
	if err := f.Close(); err != nil || len(all) != 4 {
		t.Errorf("%d tensors, %v", len(all), err)
	}
	names, err := WeightFiles(src)
	if want := []string{IndexFile, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("files %v, %v", names, err)
	}
	src[WeightsFile] = written(t, map[string]float32{"a": 1})
	if names, err := WeightFiles(src); err != nil || !slices.Equal(names, []string{WeightsFile}) {
		t.Errorf("one file beside: %v, %v", names, err)
	}
}

// opened notes every name that is asked for.
type opened struct {
	fs.FS
	names []string
}

func (o *opened) Open(name string) (fs.File, error) {
	o.names = append(o.names, name)
	return o.FS.Open(name)
}

// An index comes with a model from elsewhere. What it says of files outside of the
// folder, or of tensors that are not there, is refused before anything is read.
func TestHostileShards(t *testing.T) {
	for index, want := range map[string]string{
		strings.ReplaceAll(goodIndex, "model-00001", "../model-00001"):        "not the name of a .safetensors file in the folder",
		`{"weight_map":{"a":"/etc/x.safetensors"}}`:                           `"/etc/x.safetensors", which is not the name`,
		`{"weight_map":{"a":"a/../../x.safetensors"}}`:                        "not the name",
		`{"weight_map":{"a":"sub/x.safetensors"}}`:                            "not the name",
		`{"weight_map":{"a":"..\\x.safetensors"}}`:                            "not the name",
		`{"weight_map":{"a":"c:x.safetensors"}}`:                              "not the name",
		`{"weight_map":{"a":""}}`:                                             "not the name",
		`{"weight_map":{"a":"config.json"}}`:                                  "not the name",
		`{"weight_map":{"a":"model-00003-of-00002.safetensors"}}`:             "model-00003-of-00002.safetensors",
		`{"weight_map":{"a":3}}`:                                              IndexFile,
		`{"weight_map":{}}`:                                                   "has no weight_map",
		`{`:                                                                   IndexFile,
		strings.Replace(goodIndex, `"a":"model-00002`, `"a":"model-00001`, 1): `model-00002-of-00002.safetensors holds tensor "a", which model.safetensors.index.json puts elsewhere`,
		strings.Replace(goodIndex, `"weight_map":{`, `"weight_map":{"e":"model-00001-of-00002.safetensors",`, 1): `puts tensor "e" into model-00001-of-00002.safetensors, which does not hold it`,
	} {
		src := &opened{FS: sharded(t, index)}
		_, err := OpenModel(src)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", index, err, want)
		}
		for _, name := range src.names {
			if !fs.ValidPath(name) || strings.Contains(name, "/") {
				t.Errorf("%s: %s was opened", index, name)
			}
		}
	}
}

func FuzzShards(f *testing.F) {
	f.Add(goodIndex)
	f.Add(`{"weight_map":{"a":"../x.safetensors"}}`)
	f.Fuzz(func(t *testing.T, index string) {
		src := &opened{FS: sharded(t, index)}
		if file, err := OpenModel(src); err == nil {
			if _, err := file.ReadAll(); err != nil {
				t.Error(err)
			}
			_ = file.Close()
		}
		for _, name := range src.names {
			if !fs.ValidPath(name) || strings.Contains(name, "/") {
				t.Errorf("%q was opened", name)
			}
		}
	})
}
