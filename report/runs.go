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

	"gotune/study"
)

// A curve is what a run measured over its steps. Of a long run neighbouring points are
// joined by their means, as many into each, so that their number is bounded.
type curve struct {
	steps, values []float64

	each                int // measurements to a point; 0 means 1
	n                   int // of the point that is being made
	sumSteps, sumValues float64
}

// maxPoints is about how many points of a run are kept, however long it was.
const maxPoints = 1000

func (c *curve) add(step, value float64) {
	if !drawable(value) || !drawable(step) {
		return
	}
	c.n, c.sumSteps, c.sumValues = c.n+1, c.sumSteps+step, c.sumValues+value
	if c.n < c.each {
		return
	}
	c.end()
	if len(c.steps) < 2*maxPoints {
		return
	}
	for i := range maxPoints {
		c.steps[i], c.values[i] = (c.steps[2*i]+c.steps[2*i+1])/2, (c.values[2*i]+c.values[2*i+1])/2
	}
	c.steps, c.values, c.each = c.steps[:maxPoints], c.values[:maxPoints], 2*max(c.each, 1)
}

// end makes a point of the measurements that wait for more.
func (c *curve) end() {
	if c.n > 0 {
		c.steps, c.values = append(c.steps, c.sumSteps/float64(c.n)), append(c.values, c.sumValues/float64(c.n))
		c.n, c.sumSteps, c.sumValues = 0, 0, 0
	}
}

// largest is the greatest number that is drawn: beyond it, differences overflow.
const largest = 1e30

// A runRecord is what the page shows of a run folder.
type runRecord struct {
	training, heldOut curve // loss, by step
	answers           []answer
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
	var record runRecord
	if run.Run == "" || !filepath.IsLocal(run.Run) {
		return record, nil // a result may have been written by anybody
	}
	folder := filepath.Join(r.lab, run.Run)
	err := record.readMetrics(filepath.Join(folder, "metrics.jsonl"))
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

const maxLine = 1 << 20

func (r *runRecord) readMetrics(path string) error {
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
		var e struct {
			Event string   `json:"event"`
			Step  float64  `json:"step"`
			Loss  *float64 `json:"loss"`
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		switch {
		case e.Loss == nil:
		case e.Event == "step":
			r.training.add(e.Step, *e.Loss)
		case e.Event == "eval":
			r.heldOut.add(e.Step, *e.Loss)
		}
	}
	r.training.end()
	r.heldOut.end()
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
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
