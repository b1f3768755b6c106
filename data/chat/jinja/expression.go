package jinja

import "slices"

// Expressions, from the loosest to the tightest: x if y else z; or; and; not;
// comparisons; + and −; ~; * / // %; **; unary signs; filters, tests, attributes,
// items and calls; literals.

// tuple parses an expression, or several between commas.
func (p *parser) tuple() (expression, error)          { return p.commas(p.expression) }
func (p *parser) tupleWithoutIf() (expression, error) { return p.commas(p.or) }

func (p *parser) commas(one func() (expression, error)) (expression, error) {
	x, err := one()
	if err != nil || !p.isOp(",") {
		return x, err
	}
	t := &listExpr{items: []expression{x}, tuple: true}
	for p.skip(",") {
		if k := p.peek().kind; k == tokEnd || k == tokClose || p.isOp(")") {
			break
		}
		x, err := one()
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, x)
	}
	return t, nil
}

func (p *parser) expression() (expression, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.or()
	for err == nil && p.skip("if") {
		t := ternary{yes: x}
		if t.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.skip("else") {
			if t.no, err = p.expression(); err != nil {
				return nil, err
			}
		}
		x = t
	}
	return x, err
}

// chain parses operands of one level with operators between them.
func (p *parser) chain(operand func() (expression, error), ops ...string) (expression, error) {
	x, err := operand()
	for err == nil {
		t := p.peek()
		if t.kind != tokOp && t.kind != tokName || !slices.Contains(ops, t.text) {
			break
		}
		p.at++
		var y expression
		if y, err = operand(); err == nil {
			x = binaryExpr{t.line, t.text, x, y}
		}
	}
	return x, err
}

func (p *parser) or() (expression, error)  { return p.chain(p.and, "or") }
func (p *parser) and() (expression, error) { return p.chain(p.not, "and") }

func (p *parser) not() (expression, error) {
	line := p.line()
	if !p.skip("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.not()
	return unaryExpr{line, "not", x}, err
}

func (p *parser) comparison() (expression, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := compareExpr{line: p.line(), x: x}
	for {
		t := p.peek()
		op := t.text
		switch {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op), t.kind == tokName && op == "in":
			p.at++
		case t.kind == tokName && op == "not" && p.tokens[p.at+1].kind == tokName && p.tokens[p.at+1].text == "in":
			p.at += 2
			op = "not in"
		default:
			if c.ops == nil {
				return x, nil
			}
			return c, nil
		}
		y, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.ys = append(c.ops, op), append(c.ys, y)
	}
}

func (p *parser) sum() (expression, error)     { return p.chain(p.concat, "+", "-") }
func (p *parser) concat() (expression, error)  { return p.chain(p.product, "~") }
func (p *parser) product() (expression, error) { return p.chain(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expression, error)   { return p.chain(p.filtered, "**") }

// filtered parses an operand with the filters and tests behind it.
func (p *parser) filtered() (expression, error) {
	x, err := p.unary()
	if err != nil {
		return nil, err
	}
	return p.filterChain(x)
}

func (p *parser) unary() (expression, error) {
	t := p.peek()
	if !p.isOp("-") && !p.isOp("+") {
		return p.operand()
	}
	p.at++
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.unary()
	return unaryExpr{t.line, t.text, x}, err
}

// operand parses a literal or a name with attributes, items and calls behind it.
func (p *parser) operand() (expression, error) {
	x, err := p.primary()
	for err == nil {
		line := p.line()
		switch {
		case p.skip("."):
			t := p.next()
			switch t.kind {
			case tokName:
				x = &attrExpr{line, x, t.text}
			case tokInt:
				var i Value
				i, err = number(t)
				x = &itemExpr{line, x, literal{i}}
			default:
				err = errorAt(line, "%s where an attribute is expected", describe(t))
			}
		case p.skip("["):
			x, err = p.subscript(x, line)
		case p.isOp("("):
			c := &callExpr{line: line, f: x}
			c.args, c.names, err = p.arguments()
			x = c
		default:
			return x, nil
		}
	}
	return nil, err
}

// subscript parses what stands in square brackets behind a value.
func (p *parser) subscript(x expression, line int) (expression, error) {
	var parts [3]expression
	colons := 0
	for !p.skip("]") {
		if p.skip(":") {
			if colons++; colons > 2 {
				return nil, errorAt(line, "a slice has at most three parts")
			}
			continue
		}
		if parts[colons] != nil {
			return nil, errorAt(line, "%s where \"]\" is expected", describe(p.peek()))
		}
		i, err := p.expression()
		if err != nil {
			return nil, err
		}
		parts[colons] = i
	}
	if colons > 0 {
		return &sliceExpr{line, x, parts[0], parts[1], parts[2]}, nil
	}
	if parts[0] == nil {
		return nil, errorAt(line, "empty square brackets")
	}
	return &itemExpr{line, x, parts[0]}, nil
}

// filterChain parses filters, tests, and calls of what they give.
func (p *parser) filterChain(x expression) (expression, error) {
	for {
		line := p.line()
		switch {
		case p.skip("|"):
			use, err := p.use()
			if err != nil {
				return nil, err
			}
			x = filterExpr{line, x, use}
		case p.skip("is"):
			t := testExpr{line: line, x: x, not: p.skip("not")}
			var err error
			if t.use, err = p.test(); err != nil {
				return nil, err
			}
			x = t
		default:
			return x, nil
		}
	}
}

// test parses a test's name and arguments; a single argument may stand without
// brackets.
func (p *parser) test() (filterUse, error) {
	line := p.line()
	name, err := p.name()
	if err != nil {
		return filterUse{}, err
	}
	u := filterUse{name: name}
	if _, ok := tests[name]; !ok {
		return u, errorAt(line, "there is no test %q", name)
	}
	t := p.peek()
	switch {
	case p.isOp("("):
		u.args, u.names, err = p.arguments()
	case t.kind == tokName && !slices.Contains([]string{"else", "or", "and", "if", "is", "not", "in", "recursive"}, t.text),
		t.kind == tokString, t.kind == tokInt, t.kind == tokFloat, p.isOp("["), p.isOp("{"):
		var x expression
		if x, err = p.operand(); err == nil {
			u.args = []expression{x}
		}
	}
	return u, err
}

func (p *parser) primary() (expression, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True":
			return literal{Bool(true)}, nil
		case "false", "False":
			return literal{Bool(false)}, nil
		case "none", "None":
			return literal{None{}}, nil
		case "and", "or", "not", "in", "is", "if", "else":
			return nil, errorAt(t.line, "%q where a value is expected", t.text)
		}
		return &nameExpr{t.line, t.text}, nil
	case tokString:
		s := t.text
		for p.peek().kind == tokString {
			s += p.next().text
		}
		return literal{Str(s)}, nil
	case tokInt:
		v, err := number(t)
		return literal{v}, err
	case tokFloat:
		v, err := real(t)
		return literal{v}, err
	case tokOp:
		switch t.text {
		case "(":
			return p.bracketed()
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
	}
	return nil, errorAt(t.line, "%s where a value is expected", describe(t))
}

func (p *parser) bracketed() (expression, error) {
	if p.skip(")") {
		return &listExpr{tuple: true}, nil
	}
	x, err := p.tuple()
	if err != nil {
		return nil, err
	}
	return x, p.expect(")")
}

func (p *parser) list() (expression, error) {
	l := &listExpr{}
	for !p.skip("]") {
		if len(l.items) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip("]") {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, x)
	}
	return l, nil
}

func (p *parser) dict() (expression, error) {
	d := &dictExpr{}
	for !p.skip("}") {
		if len(d.keys) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip("}") {
				break
			}
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}
