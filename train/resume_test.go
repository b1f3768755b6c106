//go:build unix

package train

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotune/internal/disk"
	"gotune/internal/rng"
)

// childRun names a run folder that this test binary goes on with when it is
// started as a child, so that the parent can kill it.
const childRun = "GOTUNE_TEST_RESUME"

// childLimit makes the child's files end at 4 KiB, as on a full disk.
const childLimit = "GOTUNE_TEST_LIMIT"

func TestMain(m *testing.M) {
	if path := os.Getenv(childRun); path != "" {
		if os.Getenv(childLimit) != "" {
			limitFiles(4096)
		}
		if _, err := Resume(context.Background(), path, 0, &silent{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// prepared makes a run folder as a process leaves it that is killed before the
// first step.
func prepared(t *testing.T, r Recipe) string {
	t.Helper()
	r.Output = filepath.Join(t.TempDir(), "run")
	f, err := newFolder(r, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	return f.path
}

// longer is the tiny recipe with enough steps to be killed in.
func longer(t *testing.T, full bool) Recipe {
	r := tinyRecipe(t)
	r.Full, r.MaxSteps, r.SaveSteps, r.Dropout = full, 300, 7, 0.1
	r.EvalData = r.Data
	if testing.Short() {
		r.MaxSteps = 60
	}
	return r
}

// A run that is killed at random moments, again and again, ends with the bytes
// of one that never was.
func TestKilledRunsEndAlike(t *testing.T) {
	for name, change := range map[string]func(*Recipe){
		"adapter": func(*Recipe) {},
		"full":    func(r *Recipe) { r.Full = true },
		"stages": func(r *Recipe) {
			r.Full = true
			first, second := r.Stage, r.Stage
			first.Name, second.Name, second.PreviousOptimizer = "a", "b", "keep"
			first.MaxSteps, second.MaxSteps = r.MaxSteps/2, r.MaxSteps/2
			r.Stages = []Stage{first, second}
		},
		"averaged": func(r *Recipe) {
			r.Full, r.Optimizer, r.Min8BitSize, r.EMADecay, r.LoadBestModelAtEnd = true, "adamw_8bit", 64, 0.9, true
		},
		"virtual tokens": func(r *Recipe) {
			r.LoRA, r.PEFTType, r.PrefixProjection = DefaultRecipe().LoRA, "PREFIX_TUNING", true
			r.EMADecay, r.LoadBestModelAtEnd = 0.9, true
		},
		"streamed": func(r *Recipe) { r.Streaming, r.ShuffleBuffer, r.Packing = true, 9, true },
	} {
		t.Run(name, func(t *testing.T) {
			r := longer(t, false)
			change(&r)
			want, whole := runRecipe(t, r)
			path := prepared(t, r)
			random := rng.New(uint64(time.Now().UnixNano()), "moments")
			kills := 0
			for try := 0; ; try++ {
				c := exec.Command(os.Args[0])
				c.Env = append(os.Environ(), childRun+"="+path)
				var talk strings.Builder
				c.Stderr = &talk
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				if kills < 5 {
					time.Sleep(time.Duration(50+random.IntN(400)) * time.Millisecond)
					_ = c.Process.Kill() // it may have ended by itself
				}
				err := c.Wait()
				if err == nil {
					break
				}
				if c.ProcessState.Exited() {
					t.Fatalf("try %d: %v: %s", try, err, talk.String())
				}
				kills++
			}
			t.Logf("killed %d times", kills)
			sameTensors(t, "killed and not", want, path)
			sameAsMetrics(t, path)
			if a, b := losses(t, path), whole.steps; len(a) != len(b) {
				t.Errorf("metrics.jsonl has %d steps, want %d", len(a), len(b))
			} else {
				for i := range a {
					if a[i].Loss != b[i].Loss || a[i].Step != b[i].Step {
						t.Errorf("step %d: loss %v, want %v", b[i].Step, a[i].Loss, b[i].Loss)
					}
				}
			}
		})
	}
}

// A run that was killed right after its last checkpoint, before older ones were removed,
// removes them when it goes on.
func TestOldCheckpointsGoLater(t *testing.T) {
	run, _ := runRecipe(t, tinyRecipe(t))
	f := &folder{path: run}
	want, err := f.checkpoints()
	if err != nil || len(want) == 0 {
		t.Fatalf("checkpoints %v: %v", want, err)
	}
	if err := os.CopyFS(f.checkpoint(1), os.DirFS(f.checkpoint(want[0]))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(f.path, runName)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(raw, []byte(statusFinished), []byte("running"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(context.Background(), f.path, 1, &silent{}); err != nil {
		t.Fatal(err)
	}
	if left, err := f.checkpoints(); err != nil || !slices.Equal(left, want) {
		t.Errorf("checkpoints %v are left, want %v: %v", left, want, err)
	}
}

func TestInterruptedRunGoesOn(t *testing.T) {
	r := tinyRecipe(t)
	want, _ := runRecipe(t, r)
	path := stopAt(t, r, 6)
	if _, err := os.Stat(filepath.Join(path, checkpointsName, "checkpoint-6")); err != nil {
		t.Fatal(err)
	}
	// What a killed process may leave behind.
	left := filepath.Join(path, checkpointsName, disk.Unfinished+"checkpoint-8")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(path, metricsName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"event":"step","step":7,"lo`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(context.Background(), path, 2, &silent{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("a half-written checkpoint is still there")
	}
	if got := losses(t, path); len(got) != r.MaxSteps {
		t.Errorf("metrics.jsonl has %d steps", len(got))
	}
	for name, raw := range tensors(t, filepath.Join(want, adapterName)) {
		if tensors(t, filepath.Join(path, adapterName))[name] != raw {
			t.Errorf("%s differs", name)
		}
	}
	done, err := Resume(context.Background(), path, 0, &silent{})
	if err != nil || !done.AlreadyFinished {
		t.Errorf("a finished run: %+v, %v", done, err)
	}
}

// A damaged checkpoint stops a run from going on. The error names the folder to
// remove, and after that the run goes on from the checkpoint before, or anew, to the
// same bytes.
func TestDamagedCheckpoint(t *testing.T) {
	r := tinyRecipe(t)
	want, _ := runRecipe(t, r)
	for _, file := range []string{"adapter_model.safetensors", optimizerName, stateName} {
		path := stopAt(t, r, 6)
		for _, c := range []struct {
			checkpoint, way string
		}{{"checkpoint-6", "to go on from the one before, after step 4"}, {"checkpoint-4", "to begin the run anew"}} {
			dir := filepath.Join(path, checkpointsName, c.checkpoint)
			if err := os.Truncate(filepath.Join(dir, file), 9); err != nil {
				t.Fatal(err)
			}
			_, err := Resume(t.Context(), path, 0, &silent{})
			if err == nil {
				t.Fatalf("%s: %s is cut and nobody minds", c.checkpoint, file)
			}
			for _, part := range []string{file, "remove " + dir + " " + c.way} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Resume(t.Context(), path, 0, &silent{}); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, file, filepath.Join(want, adapterName), filepath.Join(path, adapterName))
	}
}

func TestResumeRefusesWhatChanged(t *testing.T) {
	edit := func(path, old, new string) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), old) {
			t.Fatalf("%s has no %q", path, old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(r Recipe, run string)
		want   string
	}{
		"data":       {func(r Recipe, _ string) { edit(r.Data[0].Path, "seven", "eight") }, "the data is not what"},
		"base":       {func(r Recipe, _ string) { edit(filepath.Join(r.Model, "config.json"), "10000", "20000") }, "the model or adapter is not what"},
		"tokenizer":  {func(r Recipe, _ string) { edit(filepath.Join(r.Model, "tokenizer.json"), `"1.0"`, `"1.1"`) }, "the tokenizer is not what"},
		"held out":   {func(r Recipe, _ string) { edit(r.EvalData[0].Path, "seven", "eight") }, "the held-out data is not what"},
		"recipe":     {func(_ Recipe, run string) { edit(filepath.Join(run, recipeName), "max_steps: 10", "max_steps: 8") }, "the recipe is not what"},
		"format":     {func(_ Recipe, run string) { edit(filepath.Join(run, runName), `"format": 1`, `"format": 9`) }, "the run has format 9"},
		"arithmetic": {func(_ Recipe, run string) { edit(filepath.Join(run, runName), Arithmetic(), "other") }, `by the arithmetic "other"`},
	} {
		r := tinyRecipe(t)
		r.Data, r.EvalData = Paths(tinyRows(t, 40)), Paths(tinyRows(t, 12))
		run := stopAt(t, r, 5)
		c.change(r, run)
		if _, err := Resume(context.Background(), run, 0, &silent{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
}

func TestOneProcessARun(t *testing.T) {
	r := tinyRecipe(t)
	r.Output = filepath.Join(t.TempDir(), "run")
	var second error
	_, err := Run(context.Background(), r, &silent{after: func(e StepEvent) {
		if e.Step == 2 {
			_, second = Resume(context.Background(), r.Output, 0, &silent{})
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if second == nil || !strings.Contains(second.Error(), "another process is working on this run") {
		t.Errorf("the second got %v", second)
	}
}
