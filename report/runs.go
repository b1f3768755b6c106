package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gotune/study"
)

// A runRecord is what the page shows of a run folder.
type runRecord struct {
	losses  map[string]*curve // by what they are of
	answers []answer
}

// What losses are of. Where an evaluation was on several corpora each has its own.
const (
	trainingLoss = "Training loss"
	heldOutLoss  = "Held-out loss"
	retainLoss   = "Loss on data to retain"
)

func (r *runRecord) add(of string, step float64, loss *float64) {
	if loss == nil {
		return
	}
	if r.losses[of] == nil {
		r.losses[of] = &curve{}
	}
	r.losses[of].add(step, *loss)
}

// An answer is one of those that a run keeps of an evaluation.
type answer struct {
	Question string `json:"question"`
	Want     string `json:"want"`
	Got      string `json:"got"`
	Wording  string `json:"wording"`
	Before   string `json:"-"` // what the model said before it was tuned
	Arm      string `json:"-"`
	Seed     uint64 `json:"-"`
}

// Right reports whether the model said what was wanted.
func (a answer) Right() bool { return a.Got == a.Want }

// readRun reads a run folder. What is not there is left out; what cannot be read is an
// error that names the file and the line.
func (r *Report) readRun(run study.RunResult) (runRecord, error) {
	record := runRecord{losses: map[string]*curve{}}
	if run.Run == "" || !filepath.IsLocal(run.Run) {
		return record, nil // a result may have been written by anybody
	}
	folder := filepath.Join(r.lab, run.Run)
	err := record.readMetrics(filepath.Join(folder, "metrics.jsonl"), run.Seed)
	before, beforeErr := readAnswers(filepath.Join(folder, "before.json"))
	after, afterErr := readAnswers(filepath.Join(folder, "after.json"))
	was := map[string]string{}
	for _, a := range before {
		was[a.Question] = a.Got
	}
	for _, a := range after {
		a.Before = was[a.Question]
		record.answers = append(record.answers, a)
	}
	return record, errors.Join(err, beforeErr, afterErr)
}

// An event is a line of metrics.jsonl.
type event struct {
	Event   string   `json:"event"`
	Step    float64  `json:"step"`
	Loss    *float64 `json:"loss"`
	Retain  *float64 `json:"retain_loss"`
	Corpora []struct {
		Path string   `json:"path"`
		Loss *float64 `json:"loss"`
	} `json:"corpora"`
}

const maxLine = 1 << 20

func (r *runRecord) readMetrics(path string, seed uint64) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		r.event(e, seed)
	}
	for _, c := range r.losses {
		c.end()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

func (r *runRecord) event(e event, seed uint64) {
	switch e.Event {
	case "step":
		r.add(trainingLoss, e.Step, e.Loss)
	case "eval":
		r.add(retainLoss, e.Step, e.Retain)
		if len(e.Corpora) < 2 {
			r.add(heldOutLoss, e.Step, e.Loss)
		}
		for _, c := range e.Corpora {
			if len(e.Corpora) > 1 {
				r.add(heldOutLoss+" on "+unseeded(c.Path, seed), e.Step, c.Loss)
			}
		}
	}
}

// unseeded puts {seed} back into the name of a corpus, which differs from seed to seed.
func unseeded(path string, seed uint64) string {
	name, options, _ := strings.Cut(path, "?")
	if options == "" {
		return path
	}
	parts := strings.Split(options, "&")
	for i, p := range parts {
		if key, value, _ := strings.Cut(p, "="); (key == "draw" || key == "seed") && value == fmt.Sprint(seed) {
			parts[i] = key + "={seed}"
		}
	}
	return name + "?" + strings.Join(parts, "&")
}

func readAnswers(path string) ([]answer, error) {
	raw, err := readFile(path, maxResult)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var e struct {
		Answers []answer `json:"answers"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e.Answers, nil
}
