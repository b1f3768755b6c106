package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// arguments are those of a call.
type arguments struct {
	list  []Value
	named *Dict // nil if none
}

// get returns an argument by its place or its name, or a default.
func (a arguments) get(i int, name string, otherwise Value) Value {
	if i < len(a.list) {
		return a.list[i]
	}
	return a.or(name, otherwise)
}

// or returns an argument by its name alone, or a default.
func (a arguments) or(name string, otherwise Value) Value {
	if v, ok := a.keyword(name); ok {
		return v
	}
	return otherwise
}

func (a arguments) keyword(name string) (Value, bool) {
	if a.named == nil {
		return nil, false
	}
	return a.named.Get(Str(name))
}

// with returns the arguments and one more with a name.
func (a arguments) with(name string, v Value) arguments {
	if a.named == nil {
		a.named = NewDict()
	}
	a.named.Set(Str(name), v)
	return a
}

func (l literal) eval(*run) (Value, error) { return l.v, nil }

func (n *nameExpr) eval(r *run) (Value, error) {
	if v, ok := r.scope.get(n.name); ok {
		return v, nil
	}
	if f, ok := globals[n.name]; ok {
		return &function{n.name, f}, nil
	}
	return Undefined{n.name}, nil
}

func (n *listExpr) eval(r *run) (Value, error) {
	l := &List{Tuple: n.tuple}
	for _, x := range n.items {
		v, err := x.eval(r)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	return l, r.step()
}

func (n *dictExpr) eval(r *run) (Value, error) {
	d := NewDict()
	for i := range n.keys {
		k, err := n.keys[i].eval(r)
		if err != nil {
			return nil, err
		}
		v, err := n.values[i].eval(r)
		if err != nil {
			return nil, err
		}
		if !hashable(k) {
			return nil, fmt.Errorf("%s cannot be a key", k.kind())
		}
		d.Set(k, v)
	}
	return d, r.step()
}

// defined refuses what is undefined, where it is more than looked at.
func defined(v Value) error {
	if u, ok := v.(Undefined); ok {
		return fmt.Errorf("%q is undefined", u.Name)
	}
	return nil
}

func (n *attrExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err == nil {
		err = r.step()
	}
	if err != nil {
		return nil, err
	}
	v, err := attribute(x, n.name)
	return v, at(n.line, err)
}

// attribute is x.name: a method, else an item of that key.
func attribute(x Value, name string) (Value, error) {
	if err := defined(x); err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "_") {
		return Undefined{name}, nil // Python's own attributes
	}
	switch v := x.(type) {
	case *namespace:
		if a, ok := v.vars.Get(Str(name)); ok {
			return a, nil
		}
		return Undefined{name}, nil
	case *loop:
		return v.attribute(name), nil
	}
	if m := method(x, name); m != nil {
		return m, nil
	}
	if d, ok := x.(*Dict); ok {
		if a, ok := d.Get(Str(name)); ok {
			return a, nil
		}
	}
	return Undefined{name}, nil
}

func (n *itemExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err != nil {
		return nil, err
	}
	i, err := n.i.eval(r)
	if err == nil {
		err = r.step()
	}
	if err != nil {
		return nil, err
	}
	v, err := item(x, i)
	return v, at(n.line, err)
}

// item is x[i]: an item, else an attribute of that name.
func item(x, i Value) (Value, error) {
	if err := defined(x); err != nil {
		return nil, err
	}
	at, isInt := asInt(i)
	switch v := x.(type) {
	case *Dict:
		if a, ok := v.Get(i); ok {
			return a, nil
		}
	case *List:
		if isInt {
			if at < 0 {
				at += len(v.Items)
			}
			if at < 0 || at >= len(v.Items) {
				return Undefined{text(i)}, nil
			}
			return v.Items[at], nil
		}
	case Str:
		if isInt {
			chars := []rune(string(v))
			if at < 0 {
				at += len(chars)
			}
			if at < 0 || at >= len(chars) {
				return Undefined{text(i)}, nil
			}
			return Str(chars[at]), nil
		}
	}
	if s, ok := i.(Str); ok {
		return attribute(x, string(s))
	}
	return Undefined{text(i)}, nil
}

func (n *sliceExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err != nil {
		return nil, err
	}
	var bounds [3]Value
	for i, part := range []expression{n.from, n.to, n.step} {
		if part == nil {
			continue
		}
		if bounds[i], err = part.eval(r); err != nil {
			return nil, err
		}
		if _, isNone := bounds[i].(None); isNone {
			bounds[i] = nil
		}
	}
	if err := defined(x); err != nil {
		return nil, at(n.line, err)
	}
	if s, ok := x.(Str); ok {
		chars, err := items(s)
		if err == nil {
			chars, err = slice(chars, bounds)
		}
		var b strings.Builder
		for _, c := range chars {
			b.WriteString(string(c.(Str)))
		}
		return Str(b.String()), at(n.line, err)
	}
	l, ok := x.(*List)
	if !ok {
		return nil, errorAt(n.line, "%s cannot be sliced", x.kind())
	}
	part, err := slice(l.Items, bounds)
	return &List{Items: part, Tuple: l.Tuple}, at(n.line, err)
}

// slice is list[from:to:step] by Python's rules.
func slice(list []Value, bounds [3]Value) ([]Value, error) {
	var given [3]*int
	for i, b := range bounds {
		if b == nil {
			continue
		}
		n, ok := asInt(b)
		if !ok {
			return nil, errors.New("the parts of a slice are integers")
		}
		given[i] = &n
	}
	step := 1
	if given[2] != nil {
		step = *given[2]
	}
	if step == 0 {
		return nil, errors.New("the step of a slice is 0")
	}
	n := len(list)
	step = min(max(step, -n-1), n+1) // beyond the list all steps are the same
	low, high := 0, n                // what bounds are clamped to
	from, to := 0, n
	if step < 0 {
		low, high = -1, n-1
		from, to = n-1, -1
	}
	clamp := func(p *int, otherwise int) int {
		if p == nil {
			return otherwise
		}
		i := *p
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	from, to = clamp(given[0], from), clamp(given[1], to)
	var out []Value
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, list[i])
	}
	return out, nil
}

// prepare evaluates what is called and the arguments.
func (n *callExpr) prepare(r *run) (Value, arguments, error) {
	var args arguments
	f, err := n.f.eval(r)
	if err == nil {
		args, err = r.arguments(n.args, n.names)
	}
	if err == nil {
		err = r.step()
	}
	return f, args, err
}

func (r *run) arguments(list []expression, names []string) (arguments, error) {
	var args arguments
	plain := len(list) - len(names)
	for i, x := range list {
		v, err := x.eval(r)
		if err != nil {
			return args, err
		}
		if i < plain {
			args.list = append(args.list, v)
			continue
		}
		args = args.with(names[i-plain], v)
	}
	return args, nil
}

func (n *callExpr) eval(r *run) (Value, error) {
	f, args, err := n.prepare(r)
	if err != nil {
		return nil, err
	}
	v, err := callValue(r, f, args)
	return v, at(n.line, err)
}

func callValue(r *run, f Value, args arguments) (Value, error) {
	switch f := f.(type) {
	case *function:
		return f.call(r, args)
	case *loop:
		if f.again != nil && len(args.list) == 1 {
			return f.again(r, args.list[0])
		}
		return nil, errors.New("loop can be called in a recursive for alone, with one value")
	case Undefined:
		return nil, defined(f)
	}
	return nil, fmt.Errorf("%s cannot be called", f.kind())
}

func (n filterExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err != nil {
		return nil, err
	}
	v, err := r.filter(x, []filterUse{n.use})
	return v, at(n.line, err)
}

// filter passes a value through filters.
func (r *run) filter(v Value, uses []filterUse) (Value, error) {
	for _, u := range uses {
		args, err := r.arguments(u.args, u.names)
		if err == nil {
			err = r.step()
		}
		if err != nil {
			return nil, err
		}
		if v, err = filters[u.name](r, v, args); err != nil {
			return nil, fmt.Errorf("filter %s: %w", u.name, err)
		}
	}
	return v, nil
}

func (n testExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err != nil {
		return nil, err
	}
	args, err := r.arguments(n.use.args, n.use.names)
	if err == nil {
		err = r.step()
	}
	if err != nil {
		return nil, err
	}
	ok, err := tests[n.use.name](x, args)
	if err != nil {
		return nil, errorAt(n.line, "test %s: %v", n.use.name, err)
	}
	return Bool(ok != n.not), nil
}

func (n unaryExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err == nil {
		err = r.step()
	}
	if err != nil {
		return nil, err
	}
	if n.op == "not" {
		return Bool(!truth(x)), nil
	}
	switch v := x.(type) {
	case Float:
		if n.op == "-" {
			return -v, nil
		}
		return v, nil
	case Int, Bool:
		i, _ := asInt(v)
		if n.op == "-" {
			i = -i
		}
		return Int(i), nil
	}
	return nil, errorAt(n.line, "%q is not supported for %s", n.op, x.kind())
}

func (n binaryExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err == nil {
		err = r.step()
	}
	if err != nil {
		return nil, err
	}
	if n.op == "and" && !truth(x) || n.op == "or" && truth(x) {
		return x, nil
	}
	y, err := n.y.eval(r)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "and", "or":
		return y, nil
	case "~":
		a, b := text(x), text(y)
		return Str(a + b), at(n.line, r.makes(len(a)+len(b)))
	}
	for _, v := range []Value{x, y} {
		if err := defined(v); err != nil {
			return nil, at(n.line, err)
		}
	}
	v, err := arithmetic(r, n.op, x, y)
	return v, at(n.line, err)
}

func (n compareExpr) eval(r *run) (Value, error) {
	x, err := n.x.eval(r)
	if err != nil {
		return nil, err
	}
	for i, op := range n.ops {
		y, err := n.ys[i].eval(r)
		if err == nil {
			err = r.step()
		}
		if err != nil {
			return nil, err
		}
		ok, err := compared(op, x, y)
		if err != nil {
			return nil, at(n.line, err)
		}
		if !ok {
			return Bool(false), nil
		}
		x = y
	}
	return Bool(true), nil
}

func compared(op string, x, y Value) (bool, error) {
	switch op {
	case "==":
		return equal(x, y), nil
	case "!=":
		return !equal(x, y), nil
	case "in":
		return contains(y, x)
	case "not in":
		ok, err := contains(y, x)
		return !ok, err
	}
	if err := errors.Join(defined(x), defined(y)); err != nil {
		return false, err
	}
	c, err := compare(x, y)
	switch op {
	case "<":
		return c < 0, err
	case "<=":
		return c <= 0, err
	case ">":
		return c > 0, err
	}
	return c >= 0, err
}

func (t ternary) eval(r *run) (Value, error) {
	test, err := t.test.eval(r)
	switch {
	case err != nil:
		return nil, err
	case truth(test):
		return t.yes.eval(r)
	case t.no == nil:
		return Undefined{"the value of an if without else"}, nil
	}
	return t.no.eval(r)
}
