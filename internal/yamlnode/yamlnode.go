// Package yamlnode reads YAML files of keys and values so that errors name the line
// and column of what is wrong.
package yamlnode

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Mapping parses a file that is one mapping of keys to values; nil where the file is
// empty. The noun says in errors what the file is, such as recipe.
func Mapping(raw []byte, noun string) (*ast.MappingNode, error) {
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, err
	}
	if empty(file) {
		return nil, nil
	}
	if len(file.Docs) > 1 {
		return nil, At(file.Docs[1].Body, "a %s is one document, and here a second one begins", noun)
	}
	mapping, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, At(file.Docs[0].Body, "a %s is a mapping of keys to values", noun)
	}
	rejoin(mapping)
	return mapping, plain(mapping, noun)
}

// rejoin makes one text again of what the parser takes apart at a colon inside a list
// inside braces, as in {data: [world:chat]}: without a space behind it a colon is part
// of a text (YAML 1.2, 7.3.3).
func rejoin(n ast.Node) {
	ast.Walk(visitor(func(n ast.Node) bool {
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return true
		}
		for i, v := range list.Values {
			m, ok := v.(*ast.MappingNode)
			if !ok || m.IsFlowStyle || len(m.Values) != 1 {
				continue
			}
			key, value := m.Values[0].Key.GetToken(), m.Values[0].Value.GetToken()
			if value == nil || value.Position.Line != key.Position.Line || value.Position.Column != key.Position.Column+len([]rune(key.Value))+1 {
				continue
			}
			whole := *key
			whole.Value = key.Value + ":" + value.Value
			list.Values[i] = ast.String(&whole)
		}
		return true
	}), n)
}

// Errorf is the error of a file, with the lines around what the parser cannot read.
func Errorf(noun, name string, err error) error {
	return fmt.Errorf("%s %s: %s", noun, name, strings.TrimSpace(yaml.FormatError(err, false, true)))
}

// At is an error with the line and column of a node.
func At(n ast.Node, format string, args ...any) error {
	line, column := 1, 1
	if n != nil && n.GetToken() != nil {
		line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	return fmt.Errorf("[%d:%d] %w", line, column, fmt.Errorf(format, args...))
}

// plain refuses anchors and aliases, of which a few lines can stand for gigabytes,
// and tags, on which the decoder panics. A file of keys has no use for them.
func plain(n ast.Node, noun string) error {
	var found ast.Node
	what := "anchors and aliases are not used in a " + noun + "; write the values out"
	ast.Walk(visitor(func(n ast.Node) bool {
		switch n.Type() {
		case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
			found = n
		case ast.TagType:
			found, what = n, "tags are not used in a "+noun+"; write the value alone"
		}
		return found == nil
	}), n)
	if found != nil {
		return At(found, "%s", what)
	}
	return nil
}

// visitor is a function that sees every node below one until it returns false.
type visitor func(ast.Node) bool

func (v visitor) Visit(n ast.Node) ast.Visitor {
	if !v(n) {
		return nil
	}
	return v
}

// empty reports a file without a key.
func empty(file *ast.File) bool {
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType && d.Body.Type() != ast.NullType {
			return false
		}
	}
	return true
}
