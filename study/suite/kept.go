package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gotune/internal/disk"
	"gotune/study"
)

// A kept result is one as it is published, with what its study was when it was run.
type kept struct {
	File string `json:"file"` // SHA-256 of the study's file
	study.Result

	taken bool // from the published ones, not from the laboratory
}

// hash is the SHA-256 of the file of a study.
func hash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// readOwn reads the result of a study in a laboratory.
func readOwn(lab string, s *study.Study) (kept, error) {
	r, err := study.ReadResult(lab, s.ID)
	if err != nil {
		return kept{}, err
	}
	file, err := study.ReadFile(lab, s.ID)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kept{}, err
	}
	if decidesNothing(s) {
		r.Verdicts = nil
	}
	return kept{File: hash(file), Result: r}, nil
}

// keptName is the file of a published result.
func keptName(dir, id string) string { return filepath.Join(dir, "studies", id+".json") }

// readKept reads a published result.
func readKept(dir, id string) (kept, error) {
	r := kept{taken: true}
	path := keptName(dir, id)
	raw, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if r.ID != id {
		return r, fmt.Errorf("%s: it is a result of the study %q", path, r.ID)
	}
	return r, nil
}

// write publishes a result.
func (k kept) write(dir string) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("writing %s: %w", keptName(dir, k.ID), err)
	}
	return disk.WriteBytes(keptName(dir, k.ID), append(raw, '\n'))
}

// done counts the runs that were done, be it without success.
func (k kept) done() int {
	n := 0
	for _, a := range k.Arms {
		for _, run := range a.Runs {
			if run.Status != "missing" {
				n++
			}
		}
	}
	return n
}

// answered reports whether anything has come out.
func (k kept) answered() bool {
	if len(k.Verdicts) == 0 {
		return k.done() > 0
	}
	return slices.ContainsFunc(k.Verdicts, func(v study.Verdict) bool { return v.Outcome != study.NotRun })
}

// beats reports whether a result says more than another of the same study: one that
// has an answer, then one in full, then one with more runs, which is with more seeds.
func (k kept) beats(other kept) bool {
	worth := func(k kept) []int {
		full := !slices.ContainsFunc(k.Verdicts, func(v study.Verdict) bool { return v.Provisional })
		number := map[bool]int{true: 1}
		return []int{number[k.answered()], number[full], k.done()}
	}
	return slices.Compare(worth(k), worth(other)) > 0
}

// Together is Judge of a laboratory and of the results that were published into a folder:
// of each study the one that says more, the laboratory's where they are alike. What was
// published of a file that has changed since is not taken over. The laboratory stays as
// it is. It also returns what is to be said of published results that were left aside.
func Together(lab, dir string, studies []*study.Study, why map[string]string) (t Table, aside []string, err error) {
	var results []kept
	for _, s := range studies {
		own, err := readOwn(lab, s)
		have := err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t, nil, fmt.Errorf("suite: %w", err)
		}
		other, err := readKept(dir, s.ID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t, nil, fmt.Errorf("published results: %w", err)
		}
		now := hash(s.Raw)
		take := err == nil && (!have || other.beats(own) || own.File != now && other.File == now && other.answered())
		switch {
		case take && other.File == now:
			results = append(results, other)
			continue
		case take:
			aside = append(aside, fmt.Sprintf("the published result of %s is out of date, as its file has changed since: it is not taken over", s.ID))
		}
		if have {
			results = append(results, own)
		}
	}
	there, err := filepath.Glob(keptName(dir, "*"))
	if err != nil {
		return t, nil, fmt.Errorf("published results: %w", err)
	}
	for _, path := range there {
		if find(studies, strings.TrimSuffix(filepath.Base(path), ".json")) == nil {
			aside = append(aside, fmt.Sprintf("%s is of no study that there is: it is not taken over", path))
		}
	}
	tests, _ := correct(results)
	return newTable(studies, results, tests, why), aside, nil
}

// correct is Correct of results as they are published.
func correct(results []kept) (tests int, changed []bool) {
	var plain []study.Result
	for _, r := range results {
		plain = append(plain, r.Result)
	}
	return Correct(plain) // which changes verdicts in place
}

// Taken are the studies whose results were taken over from published ones.
func (t Table) Taken() []string {
	var ids []string
	for _, r := range t.results {
		if r.taken {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
