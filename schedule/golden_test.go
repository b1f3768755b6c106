package schedule_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"gotune/schedule"
)

//go:embed testdata/schedules.json
var golden []byte

// The rates of transformers' and torch's schedulers. Theirs that start at 0 are
// taken from their second step on, see testdata/schedules.py.
func TestSchedulesAreThoseOfTransformersAndTorch(t *testing.T) {
	var file struct {
		Cases []struct {
			Source string
			Config schedule.Config
			Rates  []float64
		}
	}
	if err := json.Unmarshal(golden, &file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range file.Cases {
		seen[c.Config.Name] = true
		t.Run(fmt.Sprintf("%s/%d/%d", c.Source, c.Config.Steps, c.Config.WarmupSteps), func(t *testing.T) {
			s, err := schedule.New(c.Config)
			if err != nil {
				t.Fatal(err)
			}
			// torch's CosineAnnealingLR goes from rate to rate and gathers rounding.
			for step, want := range c.Rates {
				if got := s.Rate(step); math.Abs(got-want) > 1e-13*c.Config.Peak {
					t.Fatalf("%+v: step %d: %v, want %v", c.Config, step, got, want)
				}
			}
		})
	}
	for _, name := range schedule.Names() {
		if !seen[name] {
			t.Errorf("%s is compared with nothing", name)
		}
	}
}
