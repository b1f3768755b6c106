package study

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gotune/data"
	"gotune/train"
)

// child is the variable of the environment that makes the test program run the study
// of a file in a laboratory, instead of the tests: FILE and folder on two lines.
const child = "GOTUNE_STUDY_CHILD"

func TestMain(m *testing.M) {
	file, lab, ok := strings.Cut(os.Getenv(child), "\n")
	if !ok {
		os.Exit(m.Run())
	}
	s, err := Load(file)
	if err == nil {
		_, err = Run(context.Background(), s, Options{Jobs: 2, Output: lab, Observe: func(e Event) { fmt.Println(e.Event, e.Done) }})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A laboratory whose process is killed at any moment goes on where it was, and ends as
// if it had never been killed.
func TestKill(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 60, save_steps: 5", 1)
	file := d.write(t, "study.yaml", d.fill(text))
	s, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	whole := d.run(t, s, Options{Jobs: 2, Output: filepath.Join(d.dir, "whole")})
	lab := filepath.Join(d.dir, "killed")
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 40 * time.Millisecond, 200 * time.Millisecond} {
		kill(t, file, lab, after)
	}
	again := d.run(t, s, Options{Jobs: 2, Output: lab})
	for i := range again.Arms {
		again.Arms[i].Reuses = false
	}
	if a, b := bare(t, whole), bare(t, again); a != b {
		t.Errorf("never killed the result is\n%s\nand after being killed\n%s", a, b)
	}
}

// kill runs a study in a process and kills it some time after a run begins.
func kill(t *testing.T, file, lab string, after time.Duration) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), child+"="+file+"\n"+lab)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "run ") {
	}
	time.Sleep(after)
	_ = c.Process.Kill() // it may have come to its end
	_ = c.Wait()
}

// A run that panics fails alone.
func TestPanic(t *testing.T) {
	d := newDesk(t)
	var rows atomic.Int64
	err := train.AddObjective(train.Objective{Name: "panics", Weigh: func(data.Example) []float32 {
		if rows.Add(1) > 24 { // the plan has read them all
			panic("of an objective")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := d.study(t, strings.Replace(tinyStudy, "low: {", "low: {objective: panics, ", 1))
	r := d.run(t, s, Options{Jobs: 2, Quick: true})
	if got := r.Arms[0].Runs[0]; got.Status != "failed" || !strings.Contains(got.Error, "a fault of the program: of an objective") {
		t.Errorf("the run is %s: %s", got.Status, got.Error)
	}
	if got := r.Arms[1].Runs[1]; got.Status != "finished" {
		t.Errorf("another run is %s: %s", got.Status, got.Error)
	}
}

// With a full disk nothing more is begun, and no run is noted as failed.
func TestFullDisk(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	l, err := newLab(s, Options{Output: filepath.Join(d.dir, "lab"), Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	var queue []*node
	for _, seed := range s.Seeds.Full {
		n, err := l.add(t.Context(), &s.Arms[0], nil, seed, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		queue = append(queue, n)
	}
	first, _ := l.next(queue, nil)
	l.after(t.Context(), first, fmt.Errorf("writing: %w", syscall.ENOSPC), time.Second)
	if n, more := l.next(queue, nil); n != nil || more {
		t.Errorf("after a full disk %v is begun, more to come %v", n, more)
	}
	if err := l.do(t.Context(), queue); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("the error is %v", err)
	}
}
