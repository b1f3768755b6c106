package train

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ReadFile reads a YAML file over the recipe. Errors name the file, line and
// column.
func (r *Recipe) ReadFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	return r.Parse(path, raw)
}

// Parse is ReadFile of a text. The name is for messages.
func (r *Recipe) Parse(name string, raw []byte) error {
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return recipeError(name, err)
	}
	if empty(file) {
		return nil // the decoder would clear every key
	}
	if len(file.Docs) > 1 {
		return recipeError(name, at(file.Docs[1].Body, "a recipe is one document, and here a second one begins"))
	}
	mapping, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return recipeError(name, at(file.Docs[0].Body, "a recipe is a mapping of keys to values"))
	}
	if err := r.decode(mapping); err != nil {
		return recipeError(name, err)
	}
	return nil
}

// decode reads the keys of the recipe, and then each stage over them.
func (r *Recipe) decode(mapping *ast.MappingNode) error {
	if err := plain(mapping); err != nil {
		return err
	}
	flat, stages := *mapping, ast.Node(nil)
	flat.Values = nil
	for _, m := range mapping.Values {
		if m.Key.String() == "stages" {
			stages = m.Value
			continue
		}
		flat.Values = append(flat.Values, m)
	}
	if len(flat.Values) > 0 {
		if err := decodeInto(&flat, r); err != nil {
			return err
		}
	}
	if stages == nil {
		return nil
	}
	list, ok := stages.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		return at(stages, "stages is a list of stages, each a mapping of keys to values")
	}
	r.Stages = nil
	for _, n := range list.Values {
		s := r.Stage
		if err := s.decode(n); err != nil {
			return err
		}
		r.Stages = append(r.Stages, s)
	}
	return nil
}

func (s *Stage) decode(n ast.Node) error {
	if _, ok := n.(*ast.MappingNode); !ok {
		return at(n, "a stage is a mapping of keys to values")
	}
	return decodeInto(n, s)
}

// Set reads one key of a stage from text, as on a command line.
func (s *Stage) Set(key, value string) error {
	file, err := parser.ParseBytes([]byte(key+": "+value), 0)
	if err == nil && len(file.Docs) == 1 {
		err = s.decode(file.Docs[0].Body)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %s", key, value, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return nil
}

// decodeInto reads a mapping over a recipe, a stage or an entry of data.
func decodeInto[T Recipe | Stage | plainDataset](n ast.Node, into *T) error {
	mapping := n.(*ast.MappingNode)
	if err := checkKeys(mapping, reflect.TypeFor[T]()); err != nil {
		return err
	}
	if err := checkNumbers(mapping, reflect.TypeFor[T]()); err != nil {
		return err
	}
	if err := yaml.NodeToValue(n, into, yaml.Strict()); err != nil {
		return err
	}
	return checkValues(mapping, reflect.ValueOf(into).Elem())
}

// checkKeys refuses a key that there is not, and says which may be meant.
func checkKeys(mapping *ast.MappingNode, of reflect.Type) error {
	var keys []string
	for _, f := range reflect.VisibleFields(of) {
		if !f.Anonymous {
			keys = append(keys, Key(f))
		}
	}
	for _, m := range mapping.Values {
		key := m.Key.String()
		if slices.Contains(keys, key) || m.Key.GetToken().Value != key {
			continue // the decoder judges a key in quotes
		}
		if meant := Meant(key, keys); meant != "" {
			return at(m.Key, "unknown field %q; perhaps %s is meant", key, meant)
		}
		if of == reflect.TypeFor[Stage]() && slices.ContainsFunc(Keys(), func(f reflect.StructField) bool { return Key(f) == key }) {
			return at(m.Key, "%s is a key of the whole recipe and stands beside stages, not in one", key)
		}
		return at(m.Key, "unknown field %q", key)
	}
	return nil
}

// checkValues refuses values that are out of range or no choice, where they stand.
func checkValues(mapping *ast.MappingNode, of reflect.Value) error {
	fields := make(map[string]reflect.StructField)
	for _, f := range reflect.VisibleFields(of.Type()) {
		fields[Key(f)] = f
	}
	for _, m := range mapping.Values {
		f, ok := fields[m.Key.String()]
		if !ok || f.Anonymous {
			continue
		}
		if err := checkValue(f, of.FieldByIndex(f.Index)); err != nil {
			return at(m.Value, "%w", err)
		}
	}
	return nil
}

func recipeError(name string, err error) error {
	return fmt.Errorf("recipe %s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
}

// plain refuses anchors and aliases, of which a few lines can stand for gigabytes,
// and tags, on which the decoder panics. A recipe has no use for them.
func plain(n ast.Node) error {
	var found ast.Node
	what := "anchors and aliases are not used in recipes; write the values out"
	ast.Walk(visitor(func(n ast.Node) bool {
		switch n.Type() {
		case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
			found = n
		case ast.TagType:
			found, what = n, "tags are not used in recipes; write the value alone"
		}
		return found == nil
	}), n)
	if found != nil {
		return at(found, "%s", what)
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

// checkNumbers refuses what the decoder takes in silence: a fraction where a
// whole number belongs, and a text where a number belongs.
func checkNumbers(mapping *ast.MappingNode, of reflect.Type) error {
	kinds := make(map[string]reflect.Kind)
	for _, f := range reflect.VisibleFields(of) {
		kinds[Key(f)] = f.Type.Kind()
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
		v, err := strconv.ParseFloat(t.Value, 64) // the decoder judges other spellings
		if err != nil && t.Type == token.StringType {
			return at(m.Value, "%s is %q; it must be a number", key, t.Value)
		}
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
	return fmt.Errorf("[%d:%d] %w", line, column, fmt.Errorf(format, args...))
}

// Key is the name of a field in a recipe.
func Key(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// YAML returns the recipe as a file that Parse reads. With stages the keys of a
// stage stand in each of them, and nowhere else.
func (r Recipe) YAML() ([]byte, error) {
	raw, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing the recipe: %w", err)
	}
	if len(r.Stages) > 0 {
		if raw, err = withoutFlatStage(raw); err != nil {
			return nil, fmt.Errorf("writing the recipe: %w", err)
		}
	}
	command := "train"
	if r.Pretraining() {
		command = "pretrain"
	}
	return fmt.Appendf(nil, "# The resolved recipe of this run: gotune %s --config THIS-FILE --output NEW repeats it.\n%s", command, raw), nil
}

// withoutFlatStage drops the keys of stages beside the list of stages.
func withoutFlatStage(raw []byte) ([]byte, error) {
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool)
	for _, f := range Keys() {
		own[Key(f)] = !ofStage(f)
	}
	own["stages"] = true
	mapping := file.Docs[0].Body.(*ast.MappingNode)
	mapping.Values = slices.DeleteFunc(mapping.Values, func(m *ast.MappingValueNode) bool { return !own[m.Key.String()] })
	return []byte(file.String() + "\n"), nil
}
