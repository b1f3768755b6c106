package study

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gotune/train"
)

// facts is what the record of a run says: that of the last stage, or the sum over
// stages.
type facts struct {
	steps     int
	seconds   float64
	tokens    int64
	trainable int
	peak      int64
	exposures []Exposure
	rows      float64 // seen, of all corpora
	distinct  float64
}

// ofRuns are measures of the record of a run.
var ofRuns = []Measure{
	{Family: "run", Name: "seconds", Unit: "s", Better: "lower", run: func(f facts) float64 { return f.seconds },
		Definition: "time of the optimizer steps, without evaluations and checkpoints; other jobs beside the run make it longer"},
	{Family: "run", Name: "tokens", Unit: "tokens", run: func(f facts) float64 { return float64(f.tokens) },
		Definition: "tokens of all optimizer steps, with padding"},
	{Family: "run", Name: "steps", Unit: "steps", run: func(f facts) float64 { return float64(f.steps) },
		Definition: "optimizer steps taken"},
	{Family: "run", Name: "peak_bytes", Unit: "bytes", Better: "lower", run: func(f facts) float64 { return float64(f.peak) },
		Definition: "planned memory of the stage that needs most: weights, adapter, gradients, optimizer, activations, generation and graphs, without the program and its data"},
	{Family: "run", Name: "trainable", Unit: "values", run: func(f facts) float64 { return float64(f.trainable) },
		Definition: "values that the last stage trains"},
	{Family: "run", Name: "exposures", Unit: "times", run: func(f facts) float64 { return f.rows / max(f.distinct, 1) },
		Definition: "how often a row of the training data is seen on average"},
	{Family: "run", Name: deltaNorm, Definition: "‖ΔW‖, the root of the sum of squares of what the run has changed in all weights, adapters written out"},
	{Family: "run", Name: digest, Definition: "a number that names the bits of all weights at the end, adapters written out: equal where two runs end with the same weights"},
}

// deltaNorm and digest are measures of a run that need its weights.
const (
	deltaNorm = "delta_norm"
	digest    = "digest"
)

// stagesName is the file in a run folder of what train told of each stage when it
// began.
const stagesName = "stages.jsonl"

// started is a line of it.
type started struct {
	Stage     int              `json:"stage"`
	Steps     int              `json:"steps"`
	Tokens    float64          `json:"tokens"`
	Trainable int              `json:"trainable"`
	Memory    train.Memory     `json:"memory"`
	Corpora   []train.Exposure `json:"corpora"`
}

// A scribe keeps what train tells of the stages of a run, and counts tokens.
type scribe struct {
	train.Silent
	path  string // of the run
	began int    // stages that began
	err   error
	step  func(train.StepEvent)
}

func (s *scribe) Start(h train.Header) {
	raw, err := json.Marshal(started{h.StageIndex, h.StageSteps, h.StageTokens, h.Trainable, h.Memory, h.Corpora})
	if err == nil {
		err = appendLine(filepath.Join(s.path, stagesName), raw)
	}
	s.began++
	s.err = errors.Join(s.err, err)
}

func (s *scribe) Step(e train.StepEvent) { s.step(e) }

// appendLine adds a line to a file in one write.
func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// readFacts reads the record of a finished run.
func readFacts(run string, t timeline) (facts, error) {
	var f facts
	if n := len(t.steps); n > 0 {
		f.steps = t.steps[n-1].Step
		f.seconds = t.seconds(f.steps)
	}
	raw, err := os.ReadFile(filepath.Join(run, stagesName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	last := make(map[int]started) // a stage that was gone on with has several lines
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s started
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			continue // the process was killed while it wrote the line, and has begun the stage again
		}
		last[s.Stage] = s
	}
	if err := lines.Err(); err != nil {
		return f, fmt.Errorf("%s: %w", stagesName, err)
	}
	planned := 0
	for stage := range len(last) {
		s := last[stage]
		planned += s.Steps
		f.tokens += int64(s.Tokens)
		f.trainable = s.Trainable
		f.peak = max(f.peak, s.Memory.Total()-s.Memory.Inputs)
		for _, c := range s.Corpora {
			f.see(c)
		}
	}
	if f.steps < planned { // it was stopped early
		f.tokens = f.tokens * int64(f.steps) / int64(planned)
	}
	return f, nil
}

// see adds a corpus that a stage has seen.
func (f *facts) see(c train.Exposure) {
	f.rows += c.Times * float64(c.Rows)
	for i := range f.exposures {
		if f.exposures[i].Corpus == c.Path {
			f.exposures[i].Times += c.Times
			return
		}
	}
	f.distinct += float64(c.Rows)
	f.exposures = append(f.exposures, Exposure{Corpus: c.Path, Times: c.Times})
}
