package yamlnode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A colon without a space behind it is part of a text, wherever it stands.
func TestColons(t *testing.T) {
	for text, want := range map[string]string{
		"a: {b: [world:chat, c]}":            "map[a:map[b:[world:chat c]]]",
		"a: {b: [world:chat?draw=3&rows=2]}": "map[a:map[b:[world:chat?draw=3&rows=2]]]",
		"a: {b: [{c: 1}, {d: e}]}":           "map[a:map[b:[map[c:1] map[d:e]]]]",
		"a: [b: c]":                          "map[a:[map[b:c]]]",
		"a:\n  - b: c\n  - world:chat":       "map[a:[map[b:c] world:chat]]",
	} {
		m, err := Mapping([]byte(text), "file")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got any
		if err := yaml.NodeToValue(m, &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s is %s, want %s", text, s, want)
		}
	}
}

// Errors have the line and column, and show the text.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\n---\nb: 2": "[3:2] a file is one document, and here a second one begins",
		"- a":             "[1:1] a file is a mapping of keys to values",
		"a: &x 1":         "[1:4] anchors and aliases are not used in a file",
		"a: !t 1":         "[1:4] tags are not used in a file",
		"a: [":            "[1:4]",
	} {
		_, err := Mapping([]byte(text), "file")
		if err == nil || !strings.Contains(Errorf("file", "x.yaml", err).Error(), want) {
			t.Errorf("%q gives the error %v, want %q", text, err, want)
		}
	}
	if m, err := Mapping([]byte("# nothing\n"), "file"); m != nil || err != nil {
		t.Errorf("an empty file gives %v, %v", m, err)
	}
}
