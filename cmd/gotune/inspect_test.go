package main

import (
	"strings"
	"testing"
)

// Of a long text the beginning is shown, whatever its characters are.
func TestLongTextsAreCut(t *testing.T) {
	for _, character := range []string{"a", "ü", "語", "🦜"} {
		got := shown(strings.Repeat(character, 5000))
		if !strings.HasPrefix(got, strings.Repeat(character, 300)+"… (") {
			t.Errorf("%d bytes of %s are shown", len(got), character)
		}
		if got := shown(strings.Repeat(character, 300)); got != strings.Repeat(character, 300) {
			t.Errorf("300 of %s are shown as %s", character, got)
		}
	}
}
