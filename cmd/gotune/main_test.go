package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gotune": main})
}

// Each file of testdata/script is a session at the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status,
			"lines":  lines,
		},
	})
}

// status runs a command and checks its exit status: status 2 gotune train --foo.
// The output can be matched as after exec.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// lines checks how many lines of a file begin with a text: lines 3 out '{"a":'.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines N file text")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for _, line := range strings.Split(ts.ReadFile(args[1]), "\n") {
		if strings.HasPrefix(line, args[2]) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%s: %d lines begin with %s, want %d", args[1], got, args[2], want)
	}
}

// Ctrl-C stops with a checkpoint and status 130, and the run can go on.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	gotune := func(args ...string) *exec.Cmd {
		c := exec.Command("gotune", args...)
		c.Dir = dir
		return c
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("book.txt", strings.Repeat("one two three four five six seven.\n", 60))
	write("tiny.json", `{"model_type":"llama","vocab_size":280,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64,"tie_word_embeddings":true}`)
	c := gotune("pretrain", "--shape", "tiny.json", "--data", "book.txt", "--max-length", "32", "--max-steps", "1000000", "--save-steps", "0", "--output", "run")
	var talk bytes.Buffer
	c.Stderr = &talk
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(dir, "run", "metrics.jsonl")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(metrics); err == nil && info.Size() > 1000 {
			break
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			t.Fatalf("no step was taken: %s", talk.String())
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != statusInterrupted {
		t.Fatalf("after Ctrl-C: %v: %s", err, talk.String())
	}
	checkpoints, err := filepath.Glob(filepath.Join(dir, "run", "checkpoints", "checkpoint-*", "model.safetensors"))
	if err != nil || len(checkpoints) != 1 {
		t.Errorf("checkpoints: %v, %v", checkpoints, err)
	}
	// The interrupted run can be talked to, and be used as a base.
	if out, err := gotune("generate", "run", "--prompt", "one", "--greedy", "--max-new-tokens", "3", "--json").CombinedOutput(); err != nil {
		t.Errorf("generate: %v: %s", err, out)
	}
}
