package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// Limits bound what a template may use.
type Limits struct {
	Output int // bytes that are written, and of any text on the way
	Steps  int // statements and expressions that are done; 256 bytes of a text, and each item of a list that is made, count as one more
}

// DefaultLimits is more than any conversation needs: 64 MiB and 20 million steps.
var DefaultLimits = Limits{Output: 64 << 20, Steps: 20_000_000}

// A Span is a range of bytes of a rendered text.
type Span struct{ Start, End int }

// A run is one rendering.
type run struct {
	limits Limits
	steps  int
	depth  int
	out    *strings.Builder
	marked []Span // what generation tags wrote; only outside of captured text
	held   int    // captures around the place at hand
	scope  *scope
}

// A scope holds the names of a template, of a turn of a for, or of a macro.
type scope struct {
	vars  map[string]Value
	outer *scope
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.outer {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (s *scope) set(name string, v Value) {
	if s.vars == nil {
		s.vars = make(map[string]Value)
	}
	s.vars[name] = v
}

// inner runs f in a new scope.
func (r *run) inner(f func() error) error {
	outer := r.scope
	r.scope = &scope{outer: outer}
	defer func() { r.scope = outer }()
	return f()
}

// step counts work.
func (r *run) step() error {
	if r.steps++; r.steps > r.limits.Steps {
		return fmt.Errorf("the template does more than %d steps: it may never end", r.limits.Steps)
	}
	return nil
}

// fits refuses texts and lists that are too large.
func (r *run) fits(n int) error {
	if n > r.limits.Output {
		return fmt.Errorf("the template makes a text of more than %d bytes", r.limits.Output)
	}
	return nil
}

// makes is fits for a text that is made on the way, and counts it as work: one step
// can copy all that a template may write.
func (r *run) makes(n int) error {
	r.steps += n / 256
	return r.fits(n)
}

// makesItems is makes for the items of a list.
func (r *run) makesItems(n int) error {
	r.steps += n
	return r.fits(n)
}

func (r *run) write(s string) error {
	if err := r.fits(r.out.Len() + len(s)); err != nil {
		return err
	}
	r.out.WriteString(s)
	return nil
}

// capture runs statements in a scope of their own and returns what they write.
func (r *run) capture(body []statement) (Value, error) {
	return r.captured(func() error { return r.inner(func() error { return r.all(body) }) })
}

func (r *run) all(body []statement) error {
	for _, s := range body {
		if err := r.step(); err != nil {
			return err
		}
		if err := s.run(r); err != nil {
			return err
		}
	}
	return nil
}

var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

func (breakNode) run(*run) error    { return errBreak }
func (continueNode) run(*run) error { return errContinue }

func (n textNode) run(r *run) error { return r.write(n.text) }

func (n outputNode) run(r *run) error {
	v, err := n.x.eval(r)
	if err != nil {
		return at(n.line, err)
	}
	return r.write(text(v))
}

// at adds the line to an error that has none.
func at(line int, err error) error {
	var e *Error
	var raised *Raised
	if err == nil || errors.As(err, &e) || errors.As(err, &raised) || errors.Is(err, errBreak) || errors.Is(err, errContinue) {
		return err
	}
	return &Error{line, err.Error()}
}

func (n ifNode) run(r *run) error {
	for i, test := range n.tests {
		v, err := test.eval(r)
		if err != nil {
			return err
		}
		if truth(v) {
			return r.all(n.bodies[i])
		}
	}
	if len(n.bodies) > len(n.tests) {
		return r.all(n.bodies[len(n.tests)])
	}
	return nil
}

func (n forNode) run(r *run) error {
	v, err := n.over.eval(r)
	if err != nil {
		return at(n.line, err)
	}
	return n.through(r, v, 1)
}

// through does the loop over a value; depth counts recursion.
func (n forNode) through(r *run, over Value, depth int) error {
	if err := r.deeper(); err != nil {
		return at(n.line, err)
	}
	defer r.shallower()
	list, err := items(over)
	if err != nil {
		return at(n.line, err)
	}
	if list, err = n.chosen(r, list); err != nil {
		return at(n.line, err)
	}
	if len(list) == 0 {
		return r.inner(func() error { return r.all(n.orElse) })
	}
	l := &loop{items: list, depth: depth}
	if n.recursive {
		l.again = func(r *run, v Value) (Value, error) {
			return r.captured(func() error { return n.through(r, v, depth+1) })
		}
	}
	for i, item := range list {
		l.at = i
		err := r.inner(func() error {
			if err := assign(r.scope, n.targets, item); err != nil {
				return at(n.line, err)
			}
			r.scope.set("loop", l)
			return r.all(n.body)
		})
		if errors.Is(err, errBreak) {
			break
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
		if err := r.step(); err != nil {
			return at(n.line, err)
		}
	}
	return nil
}

// captured returns what f writes.
func (r *run) captured(f func() error) (Value, error) {
	out := r.out
	r.out = &strings.Builder{}
	r.held++
	defer func() { r.out = out; r.held-- }()
	err := f()
	return Str(r.out.String()), err
}

// chosen filters the items by the condition behind if.
func (n forNode) chosen(r *run, list []Value) ([]Value, error) {
	if n.only == nil {
		return list, nil
	}
	var chosen []Value
	for _, item := range list {
		err := r.inner(func() error {
			if err := assign(r.scope, n.targets, item); err != nil {
				return err
			}
			v, err := n.only.eval(r)
			if err == nil && truth(v) {
				chosen = append(chosen, item)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// assign gives one name a value, or several names the items of one.
func assign(s *scope, names []string, v Value) error {
	if len(names) == 1 {
		s.set(names[0], v)
		return nil
	}
	list, err := items(v)
	if err != nil {
		return err
	}
	if len(list) != len(names) {
		return fmt.Errorf("%d names for %d values", len(names), len(list))
	}
	for i, name := range names {
		s.set(name, list[i])
	}
	return nil
}

func (n setNode) run(r *run) error {
	var v Value
	var err error
	if n.x != nil {
		v, err = n.x.eval(r)
	} else if v, err = r.capture(n.body); err == nil {
		v, err = r.filter(v, n.filters)
	}
	if err != nil {
		return at(n.line, err)
	}
	if n.object == "" {
		return at(n.line, assign(r.scope, n.targets, v))
	}
	object, _ := r.scope.get(n.object)
	ns, ok := object.(*namespace)
	if !ok {
		return errorAt(n.line, "cannot set %s.%s: only attributes of a namespace can be set", n.object, n.targets[0])
	}
	ns.vars.Set(Str(n.targets[0]), v)
	return nil
}

func (n *macroNode) run(r *run) error {
	r.scope.set(n.name, n.function(r))
	return nil
}

// function makes what calls the macro, in the scope it was made in.
func (n *macroNode) function(r *run) *function {
	home := r.scope
	return &function{n.name, func(r *run, args arguments) (Value, error) {
		if err := r.deeper(); err != nil {
			return nil, err
		}
		defer r.shallower()
		outer := r.scope
		r.scope = &scope{outer: home}
		defer func() { r.scope = outer }()
		if err := n.bind(r, args); err != nil {
			return nil, err
		}
		return r.captured(func() error { return r.all(n.body) })
	}}
}

// bind gives the parameters of a macro their values.
func (n *macroNode) bind(r *run, args arguments) error {
	if caller, ok := args.keyword("caller"); ok {
		r.scope.set("caller", caller)
	}
	if len(args.list) > len(n.params) {
		return fmt.Errorf("the macro %s takes %d arguments, not %d", n.name, len(n.params), len(args.list))
	}
	used := 0
	for i, name := range n.params {
		v, ok := args.keyword(name)
		if ok {
			used++
		}
		switch d := i - (len(n.params) - len(n.defaults)); {
		case i < len(args.list):
			v = args.list[i]
		case ok:
		case d >= 0:
			var err error
			if v, err = n.defaults[d].eval(r); err != nil {
				return err
			}
		default:
			v = Undefined{name}
		}
		r.scope.set(name, v)
	}
	if args.named != nil {
		for _, name := range args.named.keys {
			if name != Str("caller") {
				used--
			}
		}
	}
	if used < 0 {
		return fmt.Errorf("the macro %s is called with an argument that it does not have", n.name)
	}
	return nil
}

func (r *run) deeper() error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("calls are nested more than %d levels deep", maxDepth)
	}
	return nil
}

func (r *run) shallower() { r.depth-- }

func (n callNode) run(r *run) error {
	f, args, err := n.call.prepare(r)
	if err != nil {
		return err
	}
	args = args.with("caller", n.caller.function(r))
	v, err := callValue(r, f, args)
	if err != nil {
		return at(n.line, err)
	}
	return r.write(text(v))
}

func (n filterNode) run(r *run) error {
	v, err := r.capture(n.body)
	if err == nil {
		v, err = r.filter(v, n.filters)
	}
	if err != nil {
		return err
	}
	return r.write(text(v))
}

func (n withNode) run(r *run) error {
	var values []Value
	for _, x := range n.values {
		v, err := x.eval(r)
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	return r.inner(func() error {
		for i, name := range n.names {
			r.scope.set(name, values[i])
		}
		return r.all(n.body)
	})
}

func (n generationNode) run(r *run) error {
	from := r.out.Len()
	if err := r.all(n.body); err != nil {
		return err
	}
	if r.held == 0 {
		r.marked = append(r.marked, Span{from, r.out.Len()})
	}
	return nil
}
