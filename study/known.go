package study

import (
	"encoding/json"
	"gotune/internal/disk"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// Known is what plans have found out, for studies of one laboratory to share: what runs
// take, and the hashes of files. It may be used by several goroutines.
type Known struct {
	hashes *hasher

	mu        sync.Mutex
	sizes     map[string]*sizing
	stored    map[string]storedSize // of runs, by their key, which names all that they read
	available int64                 // memory before anything ran; 0 where that is not known
}

// A storedSize is a size as sizes.json holds it.
type storedSize struct {
	Steps      int     `json:"steps"`
	StageSteps []int   `json:"stage_steps"`
	Tokens     float64 `json:"tokens"`
	Bytes      int64   `json:"bytes"`
}

const sizesName = "sizes.json"

// OpenKnown reads what a laboratory has found out before. What cannot be read is found
// out again.
func OpenKnown(lab string) *Known {
	k := &Known{hashes: &hasher{}, sizes: make(map[string]*sizing), stored: make(map[string]storedSize)}
	raw, err := os.ReadFile(filepath.Join(lab, sizesName))
	if err != nil || json.Unmarshal(raw, &k.stored) != nil || k.stored == nil {
		k.stored = make(map[string]storedSize)
	}
	return k
}

// Save keeps what was found out in a laboratory.
func (k *Known) Save(lab string) error {
	if err := os.MkdirAll(lab, 0o755); err != nil {
		return err
	}
	k.mu.Lock()
	stored := maps.Clone(k.stored)
	k.mu.Unlock()
	return disk.WriteJSON(filepath.Join(lab, sizesName), stored)
}

// size returns what is known of a run.
func (k *Known) size(key string) (size, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.stored[key]
	return size{steps: s.Steps, stageSteps: s.StageSteps, tokens: s.Tokens, bytes: s.Bytes, available: k.available}, ok
}

func (k *Known) store(key string, s size) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.available == 0 {
		k.available = s.available
	}
	if key != "" {
		k.stored[key] = storedSize{s.steps, s.stageSteps, s.tokens, s.bytes}
	}
}

// sizing returns the size of that name which is worked out once.
func (k *Known) sizing(name string) *sizing {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sizes[name]
	if s == nil {
		s = &sizing{}
		k.sizes[name] = s
	}
	return s
}
