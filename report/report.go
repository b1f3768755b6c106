// Package report makes a page of what a study, an ablation or a whole suite of studies
// found: one HTML file that needs no network, with its pictures also as SVG, PNG and
// CSV beside it. It is made from result.json of each study (a [study.Result]) and from
// metrics.jsonl and the evaluations of the run folders that it names, and from nothing
// else; without the run folders only learning curves and answers are missing.
package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gotune/internal/disk"
	"gotune/study"
)

// The names beside each other in a laboratory's folder, and in that of a report.
const (
	studiesName  = "studies"
	resultName   = "result.json"
	pageName     = "report.html"
	picturesName = "pictures"
)

// A Report is what a page is made of.
type Report struct {
	studies []finished
	lab     string   // folder that the run folders of the results are relative to
	missing []string // studies of the laboratory that have no result yet
	suite   bool     // the page is of a laboratory, not of one study
}

// A finished study has a result, and the file that says how to repeat it where it is
// there.
type finished struct {
	study.Result
	file string
}

// Open reads the results at a path: a laboratory's folder with all its studies, the
// folder of one study, or a file result.json.
func Open(path string) (*Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if !info.IsDir() {
		return openStudy(path)
	}
	switch _, err := os.Stat(filepath.Join(path, resultName)); {
	case err == nil:
		return openStudy(filepath.Join(path, resultName))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("report: %w", err)
	}
	return openLab(path)
}

func openStudy(path string) (*Report, error) {
	r, err := readResult(path)
	if err != nil {
		return nil, err
	}
	// LAB/studies/ID/result.json, or a file that was taken away with its runs.
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if studies := filepath.Dir(folder); filepath.Base(studies) == studiesName {
		folder = filepath.Dir(studies)
	}
	return &Report{studies: []finished{r}, lab: folder}, nil
}

func openLab(path string) (*Report, error) {
	entries, err := os.ReadDir(filepath.Join(path, studiesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("report: %s holds neither %s nor %s/: name a laboratory's folder, that of a study, or a %s", path, resultName, studiesName, resultName)
	} else if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	lab := &Report{lab: path}
	for _, e := range entries {
		r, err := readResult(filepath.Join(path, studiesName, e.Name(), resultName))
		switch {
		case !e.IsDir():
		case errors.Is(err, fs.ErrNotExist):
			lab.missing = append(lab.missing, e.Name())
		case err != nil:
			return nil, err
		default:
			lab.studies = append(lab.studies, r)
		}
	}
	if len(lab.studies) == 0 {
		return nil, fmt.Errorf("report: no study of %s has a result yet", path)
	}
	lab.suite = len(lab.studies)+len(lab.missing) > 1
	return lab, nil
}

// Bounds of what is read: a grid of 200 arms with 10 seeds takes 1 MB.
const (
	maxResult = 64 << 20
	maxFile   = 64 << 10
)

func readResult(path string) (finished, error) {
	var r finished
	raw, err := readFile(path, maxResult)
	if err == nil {
		err = json.Unmarshal(raw, &r.Result)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("line %d: %w", 1+bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n")), err)
		}
	}
	if err == nil && r.ID == "" {
		err = errors.New("it names no study: the key id is missing")
	}
	if err != nil {
		return r, fmt.Errorf("report: %s: %w", path, err)
	}
	if raw, err = readFile(filepath.Join(filepath.Dir(path), "study.yaml"), maxFile); err == nil {
		r.file = string(raw)
	}
	return r, nil
}

// readFile reads a file of at most so many bytes.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("it has more than %d KiB", most>>10)
	}
	return raw, err
}

// Write puts report.html and pictures/ into a folder, which it makes where there is
// none, and returns the path of the page. Those of an earlier report are replaced.
func (r *Report) Write(ctx context.Context, dir string) (string, error) {
	p := r.page()
	if err := os.MkdirAll(filepath.Join(dir, picturesName), 0o755); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	for _, x := range p.pictures {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("report: %w", err)
		}
		for _, to := range []struct {
			ending string
			write  func(io.Writer) error
		}{{".svg", x.svg}, {".png", x.png}, {".csv", x.csv}} {
			if err := writePicture(filepath.Join(dir, picturesName, x.Name+to.ending), to.write); err != nil {
				return "", fmt.Errorf("report: picture %s: %w", x.Name, err)
			}
		}
	}
	path := filepath.Join(dir, pageName)
	if err := disk.WriteFile(path, p.html); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return path, nil
}

// writePicture writes a file and does not wait for the disk: a suite has some thousand,
// and a lost one can be made again.
func writePicture(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// HTML writes the page alone.
func (r *Report) HTML(w io.Writer) error {
	if err := r.page().html(w); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
