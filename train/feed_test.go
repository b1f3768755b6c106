package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stream in the order of the file trains as memory does.
func TestStreamTrainsAsMemory(t *testing.T) {
	r := tinyRecipe(t)
	r.Shuffle = false
	want, whole := runRecipe(t, r)
	r.Streaming = true
	got, streamed := runRecipe(t, r)
	sameTensors(t, "streamed and in memory", want, got)
	if len(streamed.steps) != len(whole.steps) {
		t.Errorf("%d steps, want %d", len(streamed.steps), len(whole.steps))
	}
}

// Data that changes while a streamed run rests is refused.
func TestStreamRefusesChangedData(t *testing.T) {
	r := tinyRecipe(t)
	r.Streaming, r.ShuffleBuffer = true, 5
	path := stopAt(t, r, 3)
	file := r.Data[0].Path
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(raw), "What", "Who", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), path, 0, &silent{}); err == nil || !strings.Contains(err.Error(), "data") {
		t.Errorf("changed data: %v", err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(path, checkpointsName, "checkpoint-3", feedName)
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), path, 0, &silent{}); err == nil || !strings.Contains(err.Error(), "no state of the data stream") {
		t.Errorf("no state: %v", err)
	}
}
