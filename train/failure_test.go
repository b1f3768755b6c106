//go:build unix

package train

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles makes every write beyond a size fail, as on a full disk.
func limitFiles(size uint64) {
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: size}); err != nil {
		panic(err)
	}
}

// A full disk is an error that names the checkpoint; the one before stays and can
// be gone on from.
func TestFullDisk(t *testing.T) {
	r := tinyRecipe(t)
	r.Eval = false
	want, _ := runRecipe(t, r)
	path := stopAt(t, r, 6)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRun+"="+path, childLimit+"=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "checkpoint after step 8: saving the adapter: writing ") {
		t.Errorf("with a full disk: %v: %s", err, out)
	}
	entries, err := os.ReadDir(filepath.Join(path, checkpointsName))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "checkpoint-4 checkpoint-6" {
		t.Errorf("checkpoints: %s", got)
	}
	if _, err := Resume(context.Background(), path, 0, &silent{}); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, "after a full disk", filepath.Join(want, adapterName), filepath.Join(path, adapterName))
}

// A loss that is no number stops the run, names the step, and keeps the last good
// checkpoint.
func TestLossThatIsNoNumber(t *testing.T) {
	r := tinyRecipe(t)
	r.Full, r.SaveSteps, r.MaxSteps = true, 1, 40
	r.LearningRate, r.WeightDecay = 1000, 1000 // matrices grow a millionfold a step
	r.Streaming, r.ShuffleBuffer, r.Packing = true, 7, true
	r.Output = filepath.Join(t.TempDir(), "run")
	_, err := Run(context.Background(), r, &silent{})
	if err == nil {
		t.Fatal("the run went on")
	}
	if _, again := Resume(context.Background(), r.Output, 0, &silent{}); again == nil || again.Error() != err.Error() {
		t.Errorf("from the last good state it ends otherwise: %v", again)
	}
	for _, want := range []string{"step ", "learning_rate", "the last good state is " + r.Output} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if info, wrong := Describe(r.Output); wrong != nil || info.Stopped != err.Error() || info.Status != statusUnfinished {
		t.Errorf("the run says it is %s and was stopped by %q: %v", info.Status, info.Stopped, wrong)
	}
}
