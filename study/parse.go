package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"gotune/internal/yamlnode"
	"gotune/train"
)

// A reader reads what stands behind a key.
type reader func(n ast.Node) error

// keys reads a mapping of which every key is known.
func keys(n ast.Node, what string, known map[string]reader) error {
	return entries(n, what, func(m *ast.MappingValueNode, key string) error {
		read, ok := known[key]
		if !ok {
			var names []string
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			if meant := train.Meant(key, names); meant != "" {
				return yamlnode.At(m.Key, "unknown key %q of %s; perhaps %s is meant", key, what, meant)
			}
			return yamlnode.At(m.Key, "unknown key %q of %s, which has %s", key, what, strings.Join(names, ", "))
		}
		return read(m.Value)
	})
}

// entries goes through a mapping in its order.
func entries(n ast.Node, what string, read func(m *ast.MappingValueNode, key string) error) error {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		return yamlnode.At(n, "%s is a mapping of keys to values", what)
	}
	for _, m := range mapping.Values {
		if err := read(m, m.Key.GetToken().Value); err != nil {
			return err
		}
	}
	return nil
}

// list goes through a list.
func list(n ast.Node, what string, read reader) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return yamlnode.At(n, "%s is a list", what)
	}
	for _, v := range seq.Values {
		if err := read(v); err != nil {
			return err
		}
	}
	return nil
}

// text reads a text into a variable.
func text(into *string) reader {
	return func(n ast.Node) error {
		switch n.(type) {
		case *ast.MappingNode, *ast.SequenceNode:
			return yamlnode.At(n, "here a text stands, and no list or mapping")
		}
		return yaml.NodeToValue(n, into)
	}
}

// names reads a list of texts.
func names(into *[]string) reader {
	return func(n ast.Node) error {
		return list(n, "this", func(v ast.Node) error {
			var one string
			err := text(&one)(v)
			*into = append(*into, one)
			return err
		})
	}
}

// number reads a number.
func number(into *float64) reader {
	return func(n ast.Node) error {
		x, err := strconv.ParseFloat(n.GetToken().Value, 64)
		if err != nil {
			return yamlnode.At(n, "%q is no number", n.GetToken().Value)
		}
		*into = x
		return nil
	}
}

// numbers reads a list of numbers.
func numbers(into *[]float64) reader {
	return func(n ast.Node) error {
		return list(n, "this", func(v ast.Node) error {
			*into = append(*into, 0)
			return number(&(*into)[len(*into)-1])(v)
		})
	}
}

// yes reads true or false.
func yes(into *bool) reader {
	return func(n ast.Node) error {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			return yamlnode.At(n, "this is true or false, not %s", n.String())
		}
		*into = b.Value
		return nil
	}
}

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
		return yamlnode.At(n, "kind is %q; it is one of %v", kind, all)
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

// parseArms reads arms, or prepared runs, as keys on top of common ones.
func parseArms(n ast.Node, what string, common *ast.MappingNode) ([]Arm, error) {
	if n == nil {
		return nil, nil
	}
	var arms []Arm
	err := entries(n, what, func(m *ast.MappingValueNode, name string) error {
		a := Arm{Name: name, Tuned: name, node: m.Key}
		own := ast.Mapping(m.GetToken(), false)
		if _, null := m.Value.(*ast.NullNode); null {
			arms = append(arms, a.on(common, own))
			return nil
		}
		err := entries(m.Value, name, func(k *ast.MappingValueNode, key string) error {
			read, ok := a.readers()[key]
			if !ok {
				own.Values = append(own.Values, k)
				return nil
			}
			return read(k.Value)
		})
		arms = append(arms, a.on(common, own))
		return err
	})
	return arms, err
}

// on lays the keys of an arm.
func (a Arm) on(layers ...*ast.MappingNode) Arm {
	a.layers = slices.Clone(a.layers)
	for _, l := range layers {
		if l != nil && len(l.Values) > 0 {
			a.layers = append(a.layers, l)
		}
	}
	return a
}

// readers are those of the keys of an arm that are none of a recipe.
func (a *Arm) readers() map[string]reader {
	table := func(into *map[string]float64) reader {
		return func(n ast.Node) error {
			*into = make(map[string]float64)
			return entries(n, "this", func(m *ast.MappingValueNode, key string) error {
				var x float64
				err := number(&x)(m.Value)
				(*into)[key] = x
				return err
			})
		}
	}
	return map[string]reader{
		"from":       text(&a.From),
		"scale":      table(&a.Scale),
		"attributes": table(&a.attributes),
		"tune": func(n ast.Node) error {
			if b, ok := n.(*ast.BoolNode); ok {
				if !b.Value {
					a.Tuned = ""
				}
				return nil
			}
			return text(&a.Tuned)(n)
		},
	}
}

// parseVary multiplies the arms by a grid of values, or makes arms of it where there
// are none.
func (s *Study) parseVary(n ast.Node, common *ast.MappingNode) error {
	if n == nil {
		return nil
	}
	if len(s.Arms) == 0 {
		s.Arms = []Arm{Arm{node: n}.on(common)}
	}
	return entries(n, "vary", func(m *ast.MappingValueNode, key string) error {
		var grid []Arm
		for _, a := range s.Arms {
			err := list(m.Value, "the values of "+key, func(v ast.Node) error {
				one := *m
				one.Value = v
				b := a.on(ast.Mapping(m.GetToken(), false, &one))
				b.Name = strings.TrimPrefix(a.Name+","+key+"="+plain(v), ",")
				if b.Tuned == a.Name {
					b.Tuned = b.Name
				}
				grid = append(grid, b)
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(grid) == 0 {
			return yamlnode.At(m.Value, "%s has no value", key)
		}
		if slices.ContainsFunc(s.Tune, func(t Axis) bool { return t.Key == key }) {
			return yamlnode.At(m.Key, "%s is in vary and in tune: a key is either what arms differ in or what each chooses", key)
		}
		s.Arms = grid
		return nil
	})
}

// plain writes a value as a part of a name; a number has one spelling.
func plain(n ast.Node) string {
	value := n.String()
	if x, err := strconv.ParseFloat(value, 64); err == nil {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strings.Trim(value, `"'`)
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
