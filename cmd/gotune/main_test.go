package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gotune": main, "peer": peer})
}

// peer stands for a program that gotune bench --peer measures beside itself: it
// claims one token a second.
func peer() {
	f := flag.NewFlagSet("peer", flag.ExitOnError)
	for _, name := range []string{"shape", "mode", "rows", "length", "masked", "steps", "threads", "dtype"} {
		f.String(name, "", "")
	}
	f.Bool("checkpointing", false, "")
	if _ = f.Parse(os.Args[1:]); f.NArg() > 0 || f.Lookup("dtype").Value.String() != "fp32" {
		os.Exit(1)
	}
	fmt.Println("loading")
	fmt.Println(`{"tokens_per_second":1,"peak_rss_mib":1000}`)
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

// longRun starts pre-training that would take days, and waits for its first step.
// Its folder is run, and what it says is in talk once it has ended.
func longRun(t *testing.T, dir string, talk *bytes.Buffer, flags ...string) *exec.Cmd {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("book.txt", strings.Repeat("one two three four five six seven.\n", 60))
	write("tiny.json", `{"model_type":"llama","vocab_size":280,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64,"tie_word_embeddings":true}`)
	c := gotune(dir, append([]string{"pretrain", "--shape", "tiny.json", "--data", "book.txt", "--max-length", "32", "--max-steps", "1000000", "--save-steps", "0", "--eval=false", "--output", "run"}, flags...)...)
	c.Stderr = talk
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(dir, "run", "metrics.jsonl")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(metrics); err == nil && info.Size() > 0 {
			return c
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			_ = c.Wait()
			t.Fatalf("no step was taken: %s", talk.String())
		}
	}
}

func gotune(dir string, args ...string) *exec.Cmd {
	c := exec.Command("gotune", args...)
	c.Dir = dir
	return c
}

// interruptedBy waits for a process and checks that it says it was interrupted.
func interruptedBy(t *testing.T, c *exec.Cmd, talk *bytes.Buffer) {
	t.Helper()
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != statusInterrupted {
		t.Fatalf("after Ctrl-C: %v: %s", err, talk.String())
	}
	if said := strings.Contains(talk.String(), "stopping after this step"); said != slices.Contains(c.Args, "pretrain") {
		t.Errorf("%q says: %s", c.Args, talk.String())
	}
}

// Ctrl-C ends a chat at once, also while it waits for a line.
func TestInterruptOfChat(t *testing.T) {
	var talk bytes.Buffer
	c := gotune(t.TempDir(), "chat", "--greedy", "--max-new-tokens", "2")
	c.Stderr = &talk
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "Hello?\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("no answer: %v: %s", err, talk.String())
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	interruptedBy(t, c, &talk)
}

// Ctrl-C stops with a checkpoint and status 130, and the run can be used.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	var talk bytes.Buffer
	c := longRun(t, dir, &talk)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	interruptedBy(t, c, &talk)
	checkpoints, err := filepath.Glob(filepath.Join(dir, "run", "checkpoints", "checkpoint-*", "model.safetensors"))
	if err != nil || len(checkpoints) != 1 {
		t.Errorf("checkpoints: %v, %v", checkpoints, err)
	}
	if out, err := gotune(dir, "generate", "run", "--prompt", "one", "--greedy", "--max-new-tokens", "3", "--json").CombinedOutput(); err != nil {
		t.Errorf("generate: %v: %s", err, out)
	}
}

// A second Ctrl-C does not wait for the step: while a long one is computed, the
// process ends without a checkpoint.
func TestSecondInterrupt(t *testing.T) {
	dir := t.TempDir()
	var talk bytes.Buffer
	c := longRun(t, dir, &talk, "--shape", "toy", "--max-length", "512", "--batch-size", "4", "--gradient-accumulation-steps", "64",
		"--data", "world:pretrain-heldout")
	ended := make(chan struct{})
	go func() { // two signals before a busy machine hands out the first are one, so there are more
		for {
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
				_ = c.Process.Signal(os.Interrupt)
			}
		}
	}()
	interruptedBy(t, c, &talk)
	close(ended)
	checkpoints, err := filepath.Glob(filepath.Join(dir, "run", "checkpoints", "*"))
	if err != nil || len(checkpoints) != 0 {
		t.Errorf("the step was waited for: %v, %v: %s", checkpoints, err, talk.String())
	}
}
