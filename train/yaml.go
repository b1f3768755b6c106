package train

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ReadRecipe reads a YAML file over the recipe. Errors name the file, line and
// column.
func (r *Recipe) ReadRecipe(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	return r.Parse(path, raw)
}

// Parse is ReadRecipe of a text. The name is for messages.
func (r *Recipe) Parse(name string, raw []byte) error {
	file, err := parser.ParseBytes(raw, 0)
	if err == nil && empty(file) {
		return nil // the decoder would clear every key
	}
	if err == nil {
		err = yaml.UnmarshalWithOptions(raw, r, yaml.Strict())
	}
	if err != nil {
		return fmt.Errorf("recipe %s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if err := checkNumbers(file); err != nil {
		return fmt.Errorf("recipe %s: %w", name, err)
	}
	return nil
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

// checkNumbers refuses what the decoder takes in silence: a fraction where a
// whole number belongs, a text where a number belongs, and a second document.
func checkNumbers(file *ast.File) error {
	if len(file.Docs) > 1 {
		return at(file.Docs[1].Body, "a recipe is one document, and here a second one begins")
	}
	mapping, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil
	}
	kinds := make(map[string]reflect.Kind)
	for f := range reflect.TypeFor[Recipe]().Fields() {
		kinds[yamlKey(f)] = f.Type.Kind()
	}
	for _, m := range mapping.Values {
		key := m.Key.String()
		kind := kinds[key]
		whole := kind == reflect.Int || kind == reflect.Uint64
		if !whole && kind != reflect.Float64 {
			continue
		}
		t := m.Value.GetToken()
		if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
			return at(m.Value, "%s is a text; it must be a number", key)
		}
		v, err := strconv.ParseFloat(t.Value, 64) // the decoder has judged other spellings
		if whole && err == nil && v != math.Trunc(v) {
			return at(m.Value, "%s is %s; it must be a whole number", key, t.Value)
		}
	}
	return nil
}

// at is an error with the line and column of a node.
func at(n ast.Node, format string, args ...any) error {
	line, column := 1, 1
	if n != nil && n.GetToken() != nil {
		line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	return fmt.Errorf("[%d:%d] %s", line, column, fmt.Sprintf(format, args...))
}

// yamlKey is the key of a field.
func yamlKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// YAML returns the recipe as a file that Parse reads.
func (r Recipe) YAML() ([]byte, error) {
	raw, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing the recipe: %w", err)
	}
	command := "train"
	if r.Pretraining() {
		command = "pretrain"
	}
	return fmt.Appendf(nil, "# The resolved recipe of this run: gotune %s --config THIS-FILE --output NEW repeats it.\n%s", command, raw), nil
}
