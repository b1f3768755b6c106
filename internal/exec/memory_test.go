package exec_test

import (
	"testing"

	"gotune/internal/exec"
)

// TestMemoryOfSmolLM2 plans training steps at the shape of SmolLM2-135M with
// 2,048 tokens. No weight is allocated.
func TestMemoryOfSmolLM2(t *testing.T) {
	s := shape{layers: 30, c: 576, heads: 9, kv: 3, d: 64, f: 1536, v: 49152, rows: 4, length: 512, rank: 8, tied: true}
	full := s
	full.rank = 0
	for _, test := range []struct {
		name      string
		shape     shape
		recompute int   // blocks
		most      int64 // MiB
	}{
		{"LoRA", s, 0, 1450},
		{"LoRA with half the blocks recomputed", s, 15, 830},
		{"LoRA with recomputed blocks", s, 30, 240},
		{"full", full, 0, 1450},
		{"full with recomputed blocks", full, 30, 240},
	} {
		m := build(test.shape, true)
		c := m.config()
		c.Recompute, c.Blocks = test.recompute > 0, c.Blocks[:test.recompute]
		planned, bound, err := exec.Bound(m.g, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d MiB planned, at least %d MiB live at once", test.name, planned>>20, bound>>20)
		if planned>>20 > test.most {
			t.Errorf("%s: %d MiB planned, want at most %d", test.name, planned>>20, test.most)
		}
		if float64(planned) > 1.02*float64(bound) {
			t.Errorf("%s: %d bytes planned, %d live at once", test.name, planned, bound)
		}
	}
}
