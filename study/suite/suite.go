// Package suite runs all studies of a table of claims in one laboratory, corrects what
// they found for their number, and tells it in one table.
package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"gotune/study"
	"gotune/train"
)

// Headline are the claims that are run first where the budget is short, and on further
// bases.
var Headline = []string{"K1", "K4", "K5", "R8", "L2", "L9"}

// Load reads the files *.yaml of a folder, each a study, in the order of their names.
func Load(src fs.FS) ([]*study.Study, error) {
	names, err := fs.Glob(src, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("studies: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("studies: the folder has no files *.yaml")
	}
	var all []*study.Study
	for _, name := range names {
		raw, err := fs.ReadFile(src, name)
		if err != nil {
			return nil, fmt.Errorf("studies: %w", err)
		}
		s, err := study.Parse(path.Base(name), raw)
		if err != nil {
			return nil, err
		}
		if other := find(all, s.ID); other != nil {
			return nil, fmt.Errorf("%s: there is another study with the id %s", name, s.ID)
		}
		all = append(all, s)
	}
	return all, nil
}

// find returns the study with an id, or nil.
func find(all []*study.Study, id string) *study.Study {
	for _, s := range all {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Only chooses the studies of claims such as K5, or with ids such as
// k05-cpt-loss-rises, in the order of the suite. Letters may be small.
func Only(all []*study.Study, ids []string) ([]*study.Study, error) {
	chosen := make(map[*study.Study]bool)
	for _, id := range ids {
		found := false
		for _, s := range all {
			if strings.EqualFold(s.ID, id) || slices.ContainsFunc(s.Claims, func(c string) bool { return strings.EqualFold(c, id) }) {
				chosen[s], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no study of %q%s", id, meant(all, id))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s *study.Study) bool { return !chosen[s] }), nil
}

// meant says which study may be meant by an id that there is not.
func meant(all []*study.Study, id string) string {
	var ids, begin []string
	for _, s := range all {
		ids = append(append(ids, s.ID), s.Claims...)
		if strings.HasPrefix(s.ID, strings.ToLower(id)) {
			begin = append(begin, s.ID)
		}
	}
	if best := train.Meant(id, ids); best != "" {
		return "; perhaps " + best + " is meant"
	}
	if len(begin) > 0 {
		return "; perhaps " + begin[0] + " is meant"
	}
	return "; gotune reproduce --list has all"
}

// Copy writes the file of the study of a claim, or with an id, into the folder at hand
// under the study's id, and returns its name. A file that is there stays as it is.
func Copy(all []*study.Study, id string) (string, error) {
	these, err := Only(all, []string{id})
	if err != nil {
		return "", err
	}
	if len(these) > 1 {
		var ids []string
		for _, s := range these {
			ids = append(ids, s.ID)
		}
		return "", fmt.Errorf("%s has several studies: name one of %s", id, strings.Join(ids, ", "))
	}
	name := these[0].ID + ".yaml"
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already and is not written over: move it away", name)
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(these[0].Raw)
	return name, errors.Join(err, f.Close())
}

// claims are the rows of the table of claims that a study is about; a study of none has
// its id.
func claims(s *study.Study) []string {
	if len(s.Claims) == 0 {
		return []string{s.ID}
	}
	return s.Claims
}

// IsHeadline reports whether a study is of a headline claim.
func IsHeadline(s *study.Study) bool {
	return slices.ContainsFunc(s.Claims, func(c string) bool { return slices.Contains(Headline, c) })
}
