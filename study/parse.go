package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"gotune/internal/yamlnode"
)

// parse reads the keys of a study.
func (s *Study) parse(mapping *ast.MappingNode) error {
	var shared, prepare, arms, vary ast.Node
	keep := func(into *ast.Node) reader {
		return func(n ast.Node) error { *into = n; return nil }
	}
	err := keys(mapping, "a study", map[string]reader{
		"id": text(&s.ID), "claims": names(&s.Claims), "title": text(&s.Title), "literature": text(&s.Literature), "note": text(&s.Note),
		"claim": func(n ast.Node) error {
			return keys(n, "claim", map[string]reader{"en": text(&s.Claim.English), "zh": text(&s.Claim.Chinese)})
		},
		"kind":    s.parseKind,
		"seeds":   s.parseSeeds,
		"shared":  keep(&shared),
		"prepare": keep(&prepare),
		"arms":    keep(&arms),
		"vary":    keep(&vary),
		"tune":    s.parseTune,
		"metrics": s.parseMetrics,
		"checks":  func(n ast.Node) error { return parseTests(n, &s.Checks) },
		"tests":   func(n ast.Node) error { return parseTests(n, &s.Tests) },
		"budget":  s.parseBudget,
		"models": func(n ast.Node) error {
			s.models = make(map[string]string)
			return entries(n, "models", func(m *ast.MappingValueNode, name string) error {
				var path string
				err := text(&path)(m.Value)
				s.models[name] = path
				return err
			})
		},
		"quick": func(n ast.Node) error {
			s.Quick = []string{}
			return names(&s.Quick)(n)
		},
	})
	if err != nil {
		return err
	}
	if s.ID == "" {
		return yamlnode.At(mapping, "id is missing: the name of the study, such as my-ranks")
	}
	if strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || strings.HasPrefix(s.ID, ".") {
		return yamlnode.At(mapping, "id is %q; it is made of letters, digits, -, _ and .", s.ID)
	}
	var common *ast.MappingNode
	if shared != nil {
		var ok bool
		if common, ok = shared.(*ast.MappingNode); !ok {
			return yamlnode.At(shared, "shared is a mapping of keys of a recipe")
		}
	}
	if s.Prepared, err = parseArms(prepare, "prepare", common); err != nil {
		return err
	}
	if s.Arms, err = parseArms(arms, "arms", common); err != nil {
		return err
	}
	return s.parseVary(vary, common)
}

func (s *Study) parseKind(n ast.Node) error {
	var kind string
	if err := text(&kind)(n); err != nil {
		return err
	}
	s.Kind = Kind(kind)
	if all := []Kind{Experiment, Identity, Accounting, NotBuilt}; !slices.Contains(all, s.Kind) {
		return yamlnode.At(n, "kind is %q; it is %s, %s, %s or %s", kind, all[0], all[1], all[2], all[3])
	}
	return nil
}

// parseSeeds reads numbers of seeds, or lists of them.
func (s *Study) parseSeeds(n ast.Node) error {
	seeds := func(first uint64, into *[]uint64) reader {
		return func(n ast.Node) error {
			if _, ok := n.(*ast.SequenceNode); ok {
				return list(n, "seeds", func(v ast.Node) error {
					seed, err := strconv.ParseUint(v.GetToken().Value, 10, 64)
					if err != nil || slices.Contains(*into, seed) {
						return yamlnode.At(v, "seeds are whole numbers from 0, each once; here is %s", v)
					}
					*into = append(*into, seed)
					return nil
				})
			}
			count, err := strconv.Atoi(n.GetToken().Value)
			if err != nil || count < 0 || count > 1000 {
				return yamlnode.At(n, "this is a number of seeds, at most 1000, or a list of them; here is %s", n)
			}
			*into = Count(first, count)
			return nil
		}
	}
	err := keys(n, "seeds", map[string]reader{
		"quick": seeds(1, &s.Seeds.Quick), "full": seeds(1, &s.Seeds.Full), "tuning": seeds(FirstTuningSeed, &s.Seeds.Tuning),
	})
	if err != nil {
		return err
	}
	for _, seed := range slices.Concat(s.Seeds.Quick, s.Seeds.Full) {
		if slices.Contains(s.Seeds.Tuning, seed) {
			return yamlnode.At(n, "the seed %d is used for tuning and for testing; a test on seeds that values were chosen on says too much", seed)
		}
	}
	return nil
}

// Count returns n seeds from the first on.
func Count(first uint64, n int) []uint64 {
	var seeds []uint64
	for i := range n {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

func (s *Study) parseTune(n ast.Node) error {
	return entries(n, "tune", func(m *ast.MappingValueNode, key string) error {
		if key == "metric" {
			return text(&s.TuneBy)(m.Value)
		}
		axis := Axis{Key: key}
		if err := numbers(&axis.Values)(m.Value); err != nil {
			return err
		}
		if len(axis.Values) < 2 {
			return yamlnode.At(m.Value, "tune chooses from at least two values of %s", key)
		}
		s.Tune = append(s.Tune, axis)
		return nil
	})
}

func (s *Study) parseBudget(n ast.Node) error {
	s.Budget.node = n
	return keys(n, "budget", map[string]reader{
		"tokens": number(&s.Budget.Tokens),
		"time": func(n ast.Node) error {
			d, err := time.ParseDuration(n.GetToken().Value)
			if err != nil || d <= 0 {
				return yamlnode.At(n, "time is %q; it is a duration such as 30m", n.GetToken().Value)
			}
			s.Budget.Time = d
			return nil
		},
	})
}

// parseTests reads checks or tests.
func parseTests(n ast.Node, into *[]Test) error {
	return list(n, "this", func(v ast.Node) error {
		t := Test{node: v}
		err := keys(v, "a test", map[string]reader{
			"name": text(&t.Name), "claim": text(&t.Claim), "metric": text(&t.Metric),
			"difference": names(&t.Difference), "ratio": names(&t.Ratio), "level": text(&t.Level),
			"contrast": func(n ast.Node) error {
				t.Weights = make(map[string]float64)
				return entries(n, "contrast", func(m *ast.MappingValueNode, arm string) error {
					var w float64
					err := number(&w)(m.Value)
					t.Weights[arm] = w
					return err
				})
			},
			"trend": func(n ast.Node) error {
				t.Trend = &Trend{Scale: "linear"}
				return keys(n, "trend", map[string]reader{"over": text(&t.Trend.Over), "scale": text(&t.Trend.Scale), "arms": names(&t.Trend.Arms)})
			},
			"exponent": func(n ast.Node) error {
				t.Exponent = &Exponent{}
				return keys(n, "exponent", map[string]reader{"of": text(&t.Exponent.Of), "over": text(&t.Exponent.Over), "arms": names(&t.Exponent.Arms)})
			},
			"regret": func(n ast.Node) error {
				t.Regret = &Regret{}
				return keys(n, "regret", map[string]reader{"arm": text(&t.Regret.Arm), "among": names(&t.Regret.Among), "given": func(n ast.Node) error {
					t.Regret.Given = &Given{}
					return keys(n, "given", map[string]reader{"metric": text(&t.Regret.Given.Metric), "at-least": number(&t.Regret.Given.AtLeast)})
				}})
			},
			"range": func(n ast.Node) error {
				t.Range = &Range{Scale: "linear"}
				return keys(n, "range", map[string]reader{"over": text(&t.Range.Over), "scale": text(&t.Range.Scale), "among": names(&t.Range.Among)})
			},
			"all":    func(n ast.Node) error { return parseTests(n, &t.All) },
			"margin": number(&t.Margin),
			"expect": t.parseExpect,
		})
		*into = append(*into, t)
		return err
	})
}

func (t *Test) parseExpect(n ast.Node) error {
	if _, ok := n.(*ast.MappingNode); ok {
		t.Expect = "contains"
		return keys(n, "expect", map[string]reader{"contains": number(&t.Contains), "excludes": numbers(&t.Excludes)})
	}
	if err := text(&t.Expect)(n); err != nil {
		return err
	}
	if all := []string{"above", "below", "equal", "not-below", "not-above", "different"}; !slices.Contains(all, t.Expect) {
		return yamlnode.At(n, "expect is %q; it is %s, or {contains: X, excludes: [Y]}", t.Expect, strings.Join(all, ", "))
	}
	return nil
}

// sum joins names of weighted arms: a − b + 2·c.
func sum(order []string, weights map[string]float64) string {
	var b strings.Builder
	for _, name := range order {
		w, ok := weights[name]
		if !ok || w == 0 {
			continue
		}
		switch {
		case w < 0:
			b.WriteString(" − ")
		case b.Len() > 0:
			b.WriteString(" + ")
		}
		if w = max(w, -w); w != 1 {
			fmt.Fprintf(&b, "%g·", w)
		}
		b.WriteString(name)
	}
	return strings.TrimSpace(b.String())
}
