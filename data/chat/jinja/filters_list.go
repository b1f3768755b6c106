package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func filterFirst(_ *run, v Value, _ arguments) (Value, error) {
	list, err := items(v)
	if err != nil || len(list) == 0 {
		return Undefined{"the first of nothing"}, err
	}
	return list[0], nil
}

func filterLast(_ *run, v Value, _ arguments) (Value, error) {
	list, err := items(v)
	if err != nil || len(list) == 0 {
		return Undefined{"the last of nothing"}, err
	}
	return list[len(list)-1], nil
}

func filterList(r *run, v Value, _ arguments) (Value, error) {
	list, err := items(v)
	return &List{Items: slices.Clone(list)}, errors.Join(err, r.makesItems(len(list)))
}

func filterItems(_ *run, v Value, _ arguments) (Value, error) {
	switch v := v.(type) {
	case Undefined:
		return &List{}, nil
	case *Dict:
		return pairs(v), nil
	}
	return nil, fmt.Errorf("%s has no items", v.kind())
}

func pairs(d *Dict) *List {
	l := &List{}
	for _, k := range d.keys {
		l.Items = append(l.Items, &List{Items: []Value{k, d.values[k]}, Tuple: true})
	}
	return l
}

func filterJoin(r *run, v Value, args arguments) (Value, error) {
	list, err := items(v)
	if err != nil {
		return nil, err
	}
	sep := text(args.get(0, "d", Str("")))
	name, byAttribute := args.get(1, "attribute", None{}).(Str)
	var b strings.Builder
	for i, x := range list {
		if i > 0 {
			b.WriteString(sep)
		}
		if byAttribute {
			if x, err = path(x, string(name)); err != nil {
				return nil, err
			}
		}
		b.WriteString(text(x))
		if err := r.fits(b.Len()); err != nil {
			return nil, err
		}
	}
	return Str(b.String()), nil
}

// path follows attributes and items between dots.
func path(v Value, names string) (Value, error) {
	for name := range strings.SplitSeq(names, ".") {
		var err error
		var key Value = Str(name)
		if n, wrong := strconv.Atoi(name); wrong == nil {
			key = Int(n)
		}
		if v, err = item(v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func filterMap(r *run, v Value, args arguments) (Value, error) {
	list, err := items(v)
	if err != nil {
		return nil, err
	}
	l := &List{}
	name, byAttribute := args.or("attribute", None{}).(Str)
	if !byAttribute && len(args.list) == 0 {
		return nil, errors.New("it needs the name of a filter, or attribute=")
	}
	for _, x := range list {
		switch {
		case byAttribute:
			if x, err = path(x, string(name)); err != nil {
				return nil, err
			}
			if _, undefined := x.(Undefined); undefined {
				x = args.or("default", x)
			}
		default:
			f, ok := filters[text(args.list[0])]
			if !ok {
				return nil, fmt.Errorf("there is no filter %q", text(args.list[0]))
			}
			if x, err = f(r, x, arguments{list: args.list[1:], named: args.named}); err != nil {
				return nil, err
			}
		}
		l.Items = append(l.Items, x)
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// filterChoose keeps the items for which a test, perhaps of an attribute, is true,
// or those for which it is not.
func filterChoose(byAttribute, keep bool) filter {
	return func(r *run, v Value, args arguments) (Value, error) {
		list, err := items(v)
		if err != nil {
			return nil, err
		}
		rest, name := args.list, ""
		if byAttribute {
			if len(rest) == 0 {
				return nil, errors.New("it needs the name of an attribute")
			}
			name, rest = text(rest[0]), rest[1:]
		}
		test := func(v Value, _ arguments) (bool, error) { return truth(v), nil }
		if len(rest) > 0 {
			f, ok := tests[text(rest[0])]
			if !ok {
				return nil, fmt.Errorf("there is no test %q", text(rest[0]))
			}
			test, rest = f, rest[1:]
		}
		l := &List{}
		for _, x := range list {
			looked := x
			if byAttribute {
				if looked, err = path(x, name); err != nil {
					return nil, err
				}
			}
			ok, err := test(looked, arguments{list: rest})
			if err != nil {
				return nil, err
			}
			if ok == keep {
				l.Items = append(l.Items, x)
			}
			if err := r.step(); err != nil {
				return nil, err
			}
		}
		return l, nil
	}
}

func filterReverse(_ *run, v Value, _ arguments) (Value, error) {
	list, err := items(v)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	slices.Reverse(list)
	if _, ok := v.(Str); !ok {
		return &List{Items: list}, nil
	}
	var b strings.Builder
	for _, c := range list {
		b.WriteString(text(c))
	}
	return Str(b.String()), nil
}

func filterSum(r *run, v Value, args arguments) (Value, error) {
	list, err := items(v)
	if err != nil {
		return nil, err
	}
	name, byAttribute := args.get(0, "attribute", None{}).(Str)
	sum := args.get(1, "start", Int(0))
	for _, x := range list {
		if byAttribute {
			if x, err = path(x, string(name)); err != nil {
				return nil, err
			}
		}
		if sum, err = arithmetic(r, "+", sum, x); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func filterMax(_ *run, v Value, _ arguments) (Value, error) { return extreme(v, 1) }

func filterMin(_ *run, v Value, _ arguments) (Value, error) { return extreme(v, -1) }

func extreme(v Value, sign int) (Value, error) {
	list, err := items(v)
	if err != nil || len(list) == 0 {
		return Undefined{"the largest of nothing"}, err
	}
	best := list[0]
	for _, x := range list[1:] {
		c, err := compare(x, best)
		if err != nil {
			return nil, err
		}
		if c*sign > 0 {
			best = x
		}
	}
	return best, nil
}

func filterUnique(_ *run, v Value, _ arguments) (Value, error) {
	list, err := items(v)
	l := &List{}
	seen := NewDict()
	for _, x := range list {
		key := folded(x)
		if !hashable(key) {
			return nil, fmt.Errorf("%s cannot be compared", x.kind())
		}
		if _, ok := seen.Get(key); !ok {
			seen.Set(key, None{})
			l.Items = append(l.Items, x)
		}
	}
	return l, err
}

// folded is what texts are compared by where case does not count.
func folded(v Value) Value {
	if s, ok := v.(Str); ok {
		return Str(strings.ToLower(string(s)))
	}
	return v
}

func filterSort(_ *run, v Value, args arguments) (Value, error) {
	list, err := items(v)
	if err != nil {
		return nil, err
	}
	name, byAttribute := args.get(2, "attribute", None{}).(Str)
	exact := truth(args.get(1, "case_sensitive", Bool(false)))
	keys := make(map[int]Value, len(list))
	order := make([]int, len(list))
	for i, x := range list {
		if byAttribute {
			if x, err = path(x, string(name)); err != nil {
				return nil, err
			}
		}
		if !exact {
			x = folded(x)
		}
		order[i], keys[i] = i, x
	}
	return sortBy(list, order, keys, truth(args.get(0, "reverse", Bool(false))))
}

// sortBy sorts by keys; equal ones stay in their order.
func sortBy(list []Value, order []int, keys map[int]Value, reverse bool) (Value, error) {
	var wrong error
	slices.SortStableFunc(order, func(a, b int) int {
		c, err := compare(keys[a], keys[b])
		if err != nil {
			wrong = err
		}
		if reverse {
			return -c
		}
		return c
	})
	l := &List{}
	for _, i := range order {
		l.Items = append(l.Items, list[i])
	}
	return l, wrong
}

// sortedValues sorts keys of a dictionary by their text.
func sortedValues(keys []Value) []Value {
	return slices.SortedStableFunc(slices.Values(keys), func(a, b Value) int { return strings.Compare(text(a), text(b)) })
}

func filterDictSort(_ *run, v Value, args arguments) (Value, error) {
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("%s is no dictionary", v.kind())
	}
	exact := truth(args.get(0, "case_sensitive", Bool(false)))
	byValue := text(args.get(1, "by", Str("key"))) == "value"
	list := pairs(d).Items
	keys, order := make(map[int]Value, len(list)), make([]int, len(list))
	for i, p := range list {
		key := p.(*List).Items[0]
		if byValue {
			key = p.(*List).Items[1]
		}
		if !exact {
			key = folded(key)
		}
		order[i], keys[i] = i, key
	}
	return sortBy(list, order, keys, truth(args.get(2, "reverse", Bool(false))))
}
