package kernel

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	have := []Level{Generic, AVX2}
	for _, c := range []struct {
		name string
		want Level
		err  string
	}{
		{"", AVX2, ""},
		{"generic", Generic, ""},
		{"avx2", AVX2, ""},
		{"avx512", AVX2, "GOTUNE_CPU=avx512: this machine and build have generic, avx2"},
		{"AVX2", AVX2, "GOTUNE_CPU=AVX2"},
	} {
		got, err := choose(c.name, have)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("choose(%q) = %v, %v; want %v, %q", c.name, got, err, c.want, c.err)
		}
	}
}

func TestLevelNames(t *testing.T) {
	for l, want := range map[Level]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512", NEON: "neon", 9: "level 9"} {
		if l.String() != want {
			t.Errorf("Level(%d) is called %q, want %q", int(l), l, want)
		}
	}
	if Levels()[0] != Generic {
		t.Error("plain Go is not among the levels")
	}
}
