package main

import (
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEncodings compares the bytes of every instruction that the assembler does not
// know with those of GNU's assembler, which testdata/gas.py asked.
func TestEncodings(t *testing.T) {
	raw, err := os.ReadFile("testdata/gas.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for line := range strings.Lines(string(raw)) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = code
	}
	var f file
	f.all()
	found := 0
	for line := range strings.Lines(f.String()) {
		code, name, ok := strings.Cut(strings.TrimSpace(line), " // ")
		if !ok || !strings.HasPrefix(code, "BYTE") {
			continue
		}
		found++
		digits := strings.Join(regexp.MustCompile(`\$0x(..)`).FindAllString(code, -1), "")
		got := strings.ReplaceAll(digits, "$0x", "")
		if _, err := hex.DecodeString(got); err != nil || got != want[name] {
			t.Errorf("%s is written as %s, GNU's assembler writes %q", name, got, want[name])
		}
	}
	if found < 800 {
		t.Errorf("only %d instructions were compared", found)
	}
}
