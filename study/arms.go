package study

import (
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"gotune/internal/yamlnode"
)

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
		"texts": func(n ast.Node) error {
			a.texts = make(map[string]string)
			return entries(n, "texts", func(m *ast.MappingValueNode, key string) error {
				var own string
				err := text(&own)(m.Value)
				a.texts[key] = own
				return err
			})
		},
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

// plain writes a value as a part of a name, in one line; a number has one spelling.
func plain(n ast.Node) string {
	var parts []string
	switch n := n.(type) {
	case *ast.SequenceNode:
		for _, v := range n.Values {
			parts = append(parts, plain(v))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *ast.MappingNode:
		for _, v := range n.Values {
			parts = append(parts, plain(v.Key)+": "+plain(v.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	value := n.String()
	if x, err := strconv.ParseFloat(value, 64); err == nil {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strings.Trim(value, `"'`)
}
