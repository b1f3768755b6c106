//go:build amd64 && !purego

package kernel_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGenerated runs the generator for each level and compares with what is
// committed; the first line of a file names the command and differs.
func TestGenerated(t *testing.T) {
	for _, level := range []string{"avx2", "avx512"} {
		dir := t.TempDir()
		s, stubs := filepath.Join(dir, level+"_amd64.s"), filepath.Join(dir, level+"_amd64.go")
		cmd := exec.Command("go", "run", ".", "-level", level, "-out", s, "-stubs", stubs, "-pkg", "kernel")
		cmd.Dir = "_asm"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, fresh := range []string{s, stubs} {
			name := filepath.Base(fresh)
			want, got := body(t, fresh), body(t, name)
			if !bytes.Equal(want, got) {
				t.Errorf("%s is not what _asm generates: run go generate", name)
			}
		}
	}
}

// TestLowLevelStaysLow: the generator takes whatever registers it needs; those of a
// higher level would fault on a CPU that AVX2 is meant for.
func TestLowLevelStaysLow(t *testing.T) {
	higher := regexp.MustCompile(`\b([XYZ](1[6-9]|2[0-9]|3[01])|Z[0-9]+|K[0-7])\b`)
	if found := higher.Find(body(t, "avx2_amd64.s")); found != nil {
		t.Errorf("avx2_amd64.s uses register %s", found)
	}
	if higher.Find(body(t, "avx512_amd64.s")) == nil {
		t.Error("avx512_amd64.s uses no register of AVX-512")
	}
}

func body(t *testing.T, name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("\n"))
	return rest
}

// TestGeneratedBF16 does the same for the instructions that avo does not know, and has
// the generator compare their bytes with those of another assembler.
func TestGeneratedBF16(t *testing.T) {
	const name = "bf16_amd64.s"
	fresh := filepath.Join(t.TempDir(), name)
	for _, args := range [][]string{{"run", "./bf16", "-out", fresh}, {"test", "./bf16"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = "_asm"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if !bytes.Equal(body(t, fresh), body(t, name)) {
		t.Errorf("%s is not what _asm/bf16 generates: run go generate", name)
	}
}
