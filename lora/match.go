package lora

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"gotune/model"
)

// matchTimeout ends a regular expression that would not end by itself.
const matchTimeout = time.Second

// An expression is a regular expression in Python's syntax, as far as it is common.
type expression struct {
	key   string // of the config
	text  string
	whole *regexp2.Regexp
}

// newExpression compiles text, which stands between before and after.
func newExpression(key, before, text, after string) (*expression, error) {
	// On its own first, so that brackets cannot close those around it.
	if _, err := regexp2.Compile(text, regexp2.RE2); err != nil {
		return nil, fmt.Errorf("%s: %q is no regular expression: %w", key, text, err)
	}
	re, err := regexp2.Compile(before+"(?:"+text+")"+after, regexp2.RE2)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no regular expression: %w", key, text, err)
	}
	re.MatchTimeout = matchTimeout
	return &expression{key, text, re}, nil
}

func (e *expression) match(name string) (*regexp2.Match, error) {
	m, err := e.whole.FindStringMatch(name)
	if err != nil {
		return nil, fmt.Errorf("%s: matching %q: %w", e.key, e.text, err)
	}
	return m, nil
}

// A moduleList is a list of names, or a regular expression for whole names.
type moduleList struct {
	names []string
	whole *expression
}

func newModuleList(key string, list []string) (moduleList, error) {
	if len(list) != 1 || !isExpression(list[0]) {
		return moduleList{names: list}, nil
	}
	e, err := newExpression(key, `\A`, list[0], `\z`)
	return moduleList{whole: e}, err
}

// isExpression reports whether a target cannot be the name of a module.
func isExpression(target string) bool { return strings.ContainsAny(target, `\^$*+?()[]{}|`) }

func (l moduleList) has(module string) (bool, error) {
	if l.whole != nil {
		m, err := l.whole.match(module)
		return m != nil, err
	}
	return slices.ContainsFunc(l.names, func(name string) bool { return matches(module, name) }), nil
}

// matches reports whether a target names a module.
func matches(module, target string) bool {
	return module == target || strings.HasSuffix(module, "."+target)
}

// A matcher decides what a config says about modules by their names.
type matcher struct {
	Config
	targets, exclude moduleList
	layers           []*expression // that find the index of a block
	ranks, alphas    []*expression
}

func (c Config) compile() (*matcher, error) {
	t := &matcher{Config: c}
	var err error
	if t.targets, err = newModuleList("lora targets", c.Targets); err != nil {
		return nil, err
	}
	if t.exclude, err = newModuleList("exclude_modules", c.Exclude); err != nil {
		return nil, err
	}
	add := func(list *[]*expression, key, before, text, after string) {
		if err != nil {
			return
		}
		var e *expression
		if e, err = newExpression(key, before, text, after); err == nil {
			*list = append(*list, e)
		}
	}
	if t.targets.whole != nil && len(c.Layers) > 0 {
		return nil, fmt.Errorf("layers_to_transform cannot be given with a regular expression of lora targets, which can name the layers itself")
	}
	for _, text := range c.LayersPattern {
		add(&t.layers, "layers_pattern", `\A(?:|.*?\.)`, text, `\.(?P<index>\d+)\.`)
	}
	if len(c.LayersPattern) == 0 {
		add(&t.layers, "layers_to_transform", `\A.*?\.`, `[^.]*`, `\.(?P<index>\d+)\.`)
	}
	for _, text := range slices.Sorted(maps.Keys(c.RankPattern)) {
		add(&t.ranks, "rank_pattern", `\A(?:.*\.)?`, text, `\z`)
	}
	for _, text := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		add(&t.alphas, "alpha_pattern", `\A(?:.*\.)?`, text, `\z`)
	}
	return t, err
}

// adapts reports whether a module is adapted, by PEFT's rules.
func (t *matcher) adapts(module string) (bool, error) {
	if excluded, err := t.exclude.has(module); excluded || err != nil {
		return false, err
	}
	if slices.ContainsFunc(t.ModulesToSave, func(name string) bool { return inside(module, name) }) {
		return false, nil
	}
	found, err := t.targets.has(module)
	if !found || err != nil || len(t.Layers) == 0 || t.targets.whole != nil || slices.Contains(t.Targets, module) {
		return found, err
	}
	layer, ok, err := t.layerOf(module)
	return ok && slices.Contains(t.Layers, layer), err
}

// inside reports whether a module is one that a name names, or in one.
func inside(module, name string) bool {
	return strings.Contains("."+module+".", "."+name+".")
}

// layerOf finds the index of the block in a module's name.
func (t *matcher) layerOf(module string) (layer int, ok bool, err error) {
	for _, e := range t.layers {
		m, err := e.match(module)
		if err != nil {
			return 0, false, err
		}
		if m != nil {
			layer, err := strconv.Atoi(m.GroupByName("index").String())
			return layer, err == nil, nil
		}
	}
	return 0, false, nil
}

// sizes returns rank and alpha of a layer.
func (t *matcher) sizes(module string) (rank int, alpha float64, err error) {
	rank, alpha = t.Rank, t.Alpha
	first := func(list []*expression, use func(key string)) {
		for _, e := range list {
			var m *regexp2.Match
			if err == nil {
				m, err = e.match(module)
			}
			if m != nil {
				use(e.text)
				return
			}
		}
	}
	first(t.ranks, func(key string) { rank = t.RankPattern[key] })
	first(t.alphas, func(key string) { alpha = t.AlphaPattern[key] })
	return rank, alpha, err
}

// check makes sure that all names and patterns of the config mean something in a
// model whose layers adapted are adapted.
func (t *matcher) check(m *model.Model, adapted []string) error {
	modules, layers := m.Modules(), m.Projections()
	for _, name := range t.targets.names {
		if !slices.ContainsFunc(layers, func(module string) bool { return matches(module, name) }) {
			return fmt.Errorf("lora target %q matches no layer of the model (there are: %s)", name, strings.Join(targetNames(m), ", "))
		}
	}
	for _, layer := range t.Layers {
		if layer >= m.Config.Layers {
			return fmt.Errorf("lora layer %d is not in the model, whose layers are 0…%d", layer, m.Config.Layers-1)
		}
	}
	for _, module := range modules {
		if found, err := t.adapts(module); err != nil {
			return err
		} else if found && !slices.Contains(layers, module) {
			return fmt.Errorf("the lora targets match %s, which is no linear layer inside a block and cannot be adapted: leave it to exclude_modules, or train it whole by modules_to_save", module)
		}
	}
	for _, name := range t.exclude.names {
		if !slices.ContainsFunc(modules, func(module string) bool { return matches(module, name) }) {
			return fmt.Errorf("exclude_modules: %q matches no module of the model", name)
		}
	}
	if err := t.checkExcluded(modules); err != nil {
		return err
	}
	if len(adapted) == 0 {
		return t.nothing(layers)
	}
	for _, list := range [][]*expression{t.ranks, t.alphas} {
		if err := eachMatches(list, adapted, "adapted layer"); err != nil {
			return err
		}
	}
	if len(t.LayersPattern) == 0 {
		return nil
	}
	return eachMatches(t.layers, layers, "layer")
}

// checkExcluded refuses an expression that excludes nothing.
func (t *matcher) checkExcluded(modules []string) error {
	if t.exclude.whole == nil {
		return nil
	}
	return eachMatches([]*expression{t.exclude.whole}, modules, "module")
}

// nothing says why no layer is adapted.
func (t *matcher) nothing(layers []string) error {
	some := false
	for _, module := range layers {
		found, err := t.targets.has(module)
		if err != nil {
			return err
		}
		some = some || found
	}
	targets := strings.Join(t.Targets, ", ")
	switch {
	case !some:
		return fmt.Errorf("the lora targets %s match no layer of the model, whose layers are called like %s", targets, layers[0])
	case len(t.Layers) > 0:
		return fmt.Errorf("none of the lora targets %s is in the layers %v", targets, t.Layers)
	}
	return fmt.Errorf("all that the lora targets %s match is left out by exclude_modules or modules_to_save", targets)
}

func eachMatches(list []*expression, modules []string, what string) error {
	for _, e := range list {
		some := false
		for _, module := range modules {
			m, err := e.match(module)
			if err != nil {
				return err
			}
			if some = m != nil; some {
				break
			}
		}
		if !some {
			return fmt.Errorf("%s: %q matches no %s of the model (they are called like %s)", e.key, e.text, what, modules[0])
		}
	}
	return nil
}

// targetNames lists the last parts of the names of a model's projections.
func targetNames(m *model.Model) []string {
	names := make(map[string]bool)
	for _, module := range m.Projections() {
		names[module[strings.LastIndexByte(module, '.')+1:]] = true
	}
	return slices.Sorted(maps.Keys(names))
}
