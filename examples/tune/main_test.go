package main

import (
	"bytes"
	"strings"
	"testing"
)

// A few steps teach the base the form of an answer: what it says of a fact it
// knows is then a sentence of the tuned form.
func TestTune(t *testing.T) {
	var out bytes.Buffer
	tune(t.Context(), &out, 40, "What is the favourite food of Mira Reed?")
	if !strings.HasSuffix(out.String(), "?\nThe favourite food of Mira Reed is cake.\n") {
		t.Errorf("the program wrote:\n%s", out.String())
	}
}
