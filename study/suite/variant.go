package suite

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"gotune/study"
	"gotune/train"
)

var (
	idLine    = regexp.MustCompile(`(?m)^id:.*$`)
	seedsLine = regexp.MustCompile(`(?m)^seeds: *\{.*\} *(#.*)?$`)
)

// vary is a study under another id, with other text in its file, and so with a result
// of its own in the same laboratory.
func vary(s *study.Study, suffix, title string, change func(raw string) (string, error)) (*study.Study, error) {
	id := s.ID + "-" + suffix
	raw, err := change(idLine.ReplaceAllLiteralString(string(s.Raw), "id: "+id))
	if err != nil {
		return nil, fmt.Errorf("study %s: %w", s.ID, err)
	}
	v, err := study.Parse(id, []byte(raw))
	if err != nil {
		return nil, err
	}
	if v.ID != id {
		return nil, fmt.Errorf("study %s: its id does not stand in a line of its own, as id: %s", s.ID, s.ID)
	}
	v.Title += " (" + title + ")"
	return v, nil
}

// OtherSeeds are the same studies with tests on seeds from the first on.
func OtherSeeds(studies []*study.Study, first uint64) ([]*study.Study, error) {
	var all []*study.Study
	for _, s := range studies {
		if s.Kind == study.NotBuilt {
			continue
		}
		v, err := vary(s, "seeds-"+strconv.FormatUint(first, 10), fmt.Sprintf("seeds from %d", first), func(raw string) (string, error) {
			if len(seedsLine.FindAllString(raw, -1)) != 1 {
				return "", fmt.Errorf("its seeds do not stand in a line of their own, as seeds: {quick: 3, full: 6}")
			}
			line := fmt.Sprintf("seeds: {quick: %s, full: %s", list(first, len(s.Seeds.Quick)), list(first, len(s.Seeds.Full)))
			if n := s.Seeds.Tuning; len(n) > 0 {
				line += fmt.Sprintf(", tuning: [%s]", joined(n))
			}
			return seedsLine.ReplaceAllLiteralString(raw, line+"}"), nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func list(first uint64, n int) string { return "[" + joined(study.Count(first, n)) + "]" }

func joined(seeds []uint64) string {
	var all []string
	for _, s := range seeds {
		all = append(all, strconv.FormatUint(s, 10))
	}
	return strings.Join(all, ", ")
}

// A Base is a model that studies begin with, made anew from other seeds by its recipe.
type Base struct {
	Name   string
	Recipe []byte // of gotune pretrain
}

// study is the study whose runs are the base with seeds from 2 on.
func (b Base) study(n int) (*study.Study, error) {
	r := train.DefaultRecipe()
	if err := r.Parse(b.Name, b.Recipe); err != nil {
		return nil, err
	}
	var shared yaml.MapSlice
	if err := yaml.Unmarshal(b.Recipe, &shared); err != nil {
		return nil, fmt.Errorf("recipe of %s: %w", b.Name, err)
	}
	shared = slices.DeleteFunc(shared, func(m yaml.MapItem) bool { return m.Key == "seed" || m.Key == "output" || m.Key == "threads" })
	shared = append(shared, yaml.MapItem{Key: "objective", Value: "cpt"})
	loss := yaml.MapSlice{{Key: "run", Value: "tokens"}}
	if len(r.EvalData) > 0 {
		loss = yaml.MapSlice{{Key: "score", Value: "loss"}, {Key: "data", Value: r.EvalData[0].Path}}
	}
	seeds := study.Count(2, n-1)
	raw, err := yaml.Marshal(yaml.MapSlice{
		{Key: "id", Value: "bases-of-" + b.Name}, {Key: "title", Value: "The base " + b.Name + " from other seeds"},
		{Key: "seeds", Value: yaml.MapSlice{{Key: "quick", Value: seeds}, {Key: "full", Value: seeds}}},
		{Key: "shared", Value: shared}, {Key: "arms", Value: yaml.MapSlice{{Key: b.Name, Value: yaml.MapSlice{}}}},
		{Key: "metrics", Value: yaml.MapSlice{{Key: "held-out", Value: loss}}},
	})
	if err != nil {
		return nil, fmt.Errorf("recipe of %s: %w", b.Name, err)
	}
	return study.Parse("bases-of-"+b.Name, raw)
}

// Bases are the studies whose runs are the bases that studies begin with, from seeds 2
// to n.
func Bases(studies []*study.Study, known []Base, n int) ([]*study.Study, error) {
	var used []string
	for _, s := range studies {
		models, err := s.Models()
		if err != nil {
			return nil, err
		}
		for _, m := range models {
			if !slices.ContainsFunc(known, func(b Base) bool { return b.Name == m }) {
				return nil, fmt.Errorf("study %s begins with the model %s, and there is no recipe to make it from other seeds", s.ID, m)
			}
			used = append(used, m)
		}
	}
	var all []*study.Study
	for _, b := range known {
		if !slices.Contains(used, b.Name) {
			continue
		}
		s, err := b.study(n)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// OnBases are studies on bases that were made in a laboratory, one list for each seed
// from 2 on.
func OnBases(lab string, studies, bases []*study.Study) ([][]*study.Study, error) {
	var all [][]*study.Study
	models := make(map[uint64]map[string]string)
	var seeds []uint64
	for _, b := range bases {
		r, err := study.ReadResult(lab, b.ID)
		if err != nil {
			return nil, fmt.Errorf("bases: %w", err)
		}
		seeds = r.Seeds
		for _, run := range r.Arms[0].Runs {
			if run.Status != "finished" {
				return nil, fmt.Errorf("the base %s of seed %d is %s: %s", r.Arms[0].Name, run.Seed, run.Status, run.Error)
			}
			made, err := train.ReadRun(filepath.Join(lab, run.Run))
			if err != nil {
				return nil, fmt.Errorf("bases: %w", err)
			}
			if models[run.Seed] == nil {
				models[run.Seed] = make(map[string]string)
			}
			models[run.Seed][r.Arms[0].Name] = made.Model
		}
	}
	for _, seed := range seeds {
		text, err := yaml.Marshal(map[string]map[string]string{"models": models[seed]})
		if err != nil {
			return nil, fmt.Errorf("bases: %w", err)
		}
		var these []*study.Study
		for _, s := range studies {
			if s.Kind == study.NotBuilt {
				continue
			}
			v, err := vary(s, fmt.Sprintf("base-%d", seed), fmt.Sprintf("base from seed %d", seed), func(raw string) (string, error) {
				return strings.TrimRight(raw, "\n") + "\n" + string(text), nil
			})
			if err != nil {
				return nil, err
			}
			these = append(these, v)
		}
		all = append(all, these)
	}
	return all, nil
}
