package study

import (
	"slices"
	"strconv"
	"strings"

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

// whole reads a whole number from least on.
func whole(into *int, least int, what string) reader {
	return func(n ast.Node) error {
		x, err := strconv.Atoi(n.GetToken().Value)
		if err != nil || x < least {
			return yamlnode.At(n, "here is %s; it is %s", n, what)
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
