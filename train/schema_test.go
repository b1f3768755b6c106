package train

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// docs/recipe.schema.json is what the structs say: gotune recipe schema writes it.
func TestSchemaInDocs(t *testing.T) {
	want, err := os.ReadFile("../docs/recipe.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/recipe.schema.json is old: gotune recipe schema > docs/recipe.schema.json")
	}
	var s property
	if err := json.Unmarshal(got, &s); err != nil {
		t.Fatal(err)
	}
	for _, f := range Keys() {
		p := s.Properties[Key(f)]
		if p == nil || p.Description == "" {
			t.Errorf("the key %s is not described", Key(f))
		}
	}
	if stage := s.Properties["stages"].Items; stage.Properties["learning_rate"] == nil || stage.Properties["model"] != nil {
		t.Error("a stage has other keys than it should")
	}
}
