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

	"gotune/internal/yamlnode"
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
	mapping, err := yamlnode.Mapping(raw, "recipe")
	if err != nil {
		return yamlnode.Errorf("recipe", name, err)
	}
	if mapping == nil {
		return nil // the decoder would clear every key
	}
	if err := r.decode(mapping); err != nil {
		return yamlnode.Errorf("recipe", name, err)
	}
	return nil
}

// decode reads the keys of the recipe, and then each stage over them.
func (r *Recipe) decode(mapping *ast.MappingNode) error {
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
		return yamlnode.At(stages, "stages is a list of stages, each a mapping of keys to values")
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
		return yamlnode.At(n, "a stage is a mapping of keys to values")
	}
	return decodeInto(n, s)
}

// Decode reads the keys of a mapping over the recipe, as Parse does, so that errors
// have the line and column of the file the mapping is from. Where the recipe has
// stages already, a key of stages is set in all of them, and NAME.key in the stage
// NAME alone.
func (r *Recipe) Decode(mapping *ast.MappingNode) error {
	flat, given := *mapping, make(map[string]bool)
	flat.Values = nil
	var single []*ast.MappingValueNode
	for _, m := range mapping.Values {
		if key := m.Key.String(); strings.Contains(key, ".") {
			single = append(single, m)
		} else {
			flat.Values = append(flat.Values, m)
			given[key] = true
		}
	}
	if err := r.decode(&flat); err != nil {
		return err
	}
	if !given["stages"] {
		r.Stages = slices.Clone(r.Stages)
		r.Override(r, func(key string) bool { return given[key] })
	}
	for _, m := range single {
		if err := r.decodeSingle(m); err != nil {
			return err
		}
	}
	return nil
}

// decodeSingle reads NAME.key: value.
func (r *Recipe) decodeSingle(m *ast.MappingValueNode) error {
	name, key, _ := strings.Cut(m.Key.String(), ".")
	for i := range r.Stages {
		if r.Stages[i].Name != name {
			continue
		}
		one := *m
		token := *m.Key.GetToken()
		token.Value = key
		one.Key = ast.String(&token)
		return r.Stages[i].decode(ast.Mapping(m.GetToken(), false, &one))
	}
	return yamlnode.At(m.Key, "there is no stage %q", name)
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
			return yamlnode.At(m.Key, "unknown field %q; perhaps %s is meant", key, meant)
		}
		if of == reflect.TypeFor[Stage]() && slices.ContainsFunc(Keys(), func(f reflect.StructField) bool { return Key(f) == key }) {
			return yamlnode.At(m.Key, "%s is a key of the whole recipe and stands beside stages, not in one", key)
		}
		return yamlnode.At(m.Key, "unknown field %q", key)
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
			return yamlnode.At(m.Value, "%w", err)
		}
	}
	return nil
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
			return yamlnode.At(m.Value, "%s is a text; it must be a number", key)
		}
		v, err := strconv.ParseFloat(t.Value, 64) // the decoder judges other spellings
		if err != nil && t.Type == token.StringType {
			return yamlnode.At(m.Value, "%s is %q; it must be a number", key, t.Value)
		}
		if whole && err == nil && v != math.Trunc(v) {
			return yamlnode.At(m.Value, "%s is %s; it must be a whole number", key, t.Value)
		}
	}
	return nil
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
