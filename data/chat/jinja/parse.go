package jinja

import (
	"fmt"
	"slices"
	"strconv"
)

// maxDepth bounds how deeply tags, expressions and calls may be nested.
const maxDepth = 150

type parser struct {
	tokens []token
	at     int
	depth  int
	loops  int // fors around the place at hand, for break and continue
}

func parse(source string) ([]statement, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	body, _, err := p.statements()
	return body, err
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

func (p *parser) line() int { return p.peek().line }

func (p *parser) isOp(op string) bool {
	t := p.peek()
	return t.kind == tokOp && t.text == op
}

func (p *parser) isName(name string) bool {
	t := p.peek()
	return t.kind == tokName && t.text == name
}

// skip moves over an operator or a name if it is the next token.
func (p *parser) skip(text string) bool {
	if p.isOp(text) || p.isName(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if !p.skip(text) {
		return errorAt(p.line(), "%s where %q is expected", describe(p.peek()), text)
	}
	return nil
}

func (p *parser) name() (string, error) {
	if t := p.peek(); t.kind == tokName {
		p.at++
		return t.text, nil
	}
	return "", errorAt(p.line(), "%s where a name is expected", describe(p.peek()))
}

func (p *parser) endTag() error {
	if p.peek().kind != tokEnd {
		return errorAt(p.line(), "%s where the tag should end", describe(p.peek()))
	}
	p.at++
	return nil
}

func describe(t token) string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokEnd, tokClose:
		return "the end of the tag"
	case tokData, tokBegin, tokOpen:
		return "text"
	}
	return strconv.Quote(t.text)
}

// enter counts nesting; leave is deferred with it.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return errorAt(p.line(), "nested more than %d levels deep", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// statements parses up to one of the tags in ends, whose name is returned and whose
// token is consumed but for what follows the name; without ends up to the end.
func (p *parser) statements(ends ...string) (body []statement, end string, err error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	first := p.line()
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if ends != nil {
				return nil, "", errorAt(first, "there is no %s", ends[len(ends)-1])
			}
			return body, "", nil
		case tokData:
			body = append(body, textNode{t.text})
		case tokOpen:
			x, err := p.tuple()
			if err != nil {
				return nil, "", err
			}
			if p.peek().kind != tokClose {
				return nil, "", errorAt(p.line(), "%s where the tag should end", describe(p.peek()))
			}
			p.at++
			body = append(body, outputNode{t.line, x})
		case tokBegin:
			name, err := p.name()
			if err != nil {
				return nil, "", err
			}
			if slices.Contains(ends, name) {
				return body, name, nil
			}
			s, err := p.statement(name, t.line)
			if err != nil {
				return nil, "", err
			}
			body = append(body, s)
		default:
			return nil, "", errorAt(t.line, "unexpected %s", describe(t))
		}
	}
}

// block parses up to an end tag and over it.
func (p *parser) block(end string) ([]statement, error) {
	body, _, err := p.statements(end)
	if err != nil {
		return nil, err
	}
	return body, p.endTag()
}

func (p *parser) statement(name string, line int) (statement, error) {
	switch name {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement(line)
	case "set":
		return p.setStatement(line)
	case "macro":
		return p.macro(line)
	case "call":
		return p.callStatement(line)
	case "filter":
		return p.filterStatement()
	case "with":
		return p.withStatement()
	case "generation":
		if err := p.endTag(); err != nil {
			return nil, err
		}
		body, err := p.block("endgeneration")
		return generationNode{body}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, errorAt(line, "%s outside of a for", name)
		}
		if name == "break" {
			return breakNode{}, p.endTag()
		}
		return continueNode{}, p.endTag()
	case "include", "import", "from", "extends", "block":
		return nil, errorAt(line, "%s is refused: a chat template is one text and loads nothing", name)
	}
	return nil, errorAt(line, "the tag %q is not supported", name)
}

func (p *parser) ifStatement() (statement, error) {
	var n ifNode
	for {
		test, err := p.tuple()
		if err != nil {
			return nil, err
		}
		if err := p.endTag(); err != nil {
			return nil, err
		}
		body, end, err := p.statements("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.tests, n.bodies = append(n.tests, test), append(n.bodies, body)
		switch end {
		case "elif":
			continue
		case "else":
			if err := p.endTag(); err != nil {
				return nil, err
			}
			body, err := p.block("endif")
			n.bodies = append(n.bodies, body)
			return n, err
		}
		return n, p.endTag()
	}
}

func (p *parser) forStatement(line int) (statement, error) {
	n := forNode{line: line}
	var err error
	if n.targets, err = p.targets(); err != nil {
		return nil, err
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	if n.over, err = p.tupleWithoutIf(); err != nil {
		return nil, err
	}
	if p.skip("if") {
		if n.only, err = p.expression(); err != nil {
			return nil, err
		}
	}
	n.recursive = p.skip("recursive")
	if err := p.endTag(); err != nil {
		return nil, err
	}
	p.loops++
	body, end, err := p.statements("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	n.body = body
	if err := p.endTag(); err != nil {
		return nil, err
	}
	if end == "else" {
		n.orElse, err = p.block("endfor")
	}
	return n, err
}

// targets parses names between commas, perhaps in brackets.
func (p *parser) targets() ([]string, error) {
	bracket := p.skip("(")
	var names []string
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if !p.skip(",") {
			break
		}
	}
	if bracket {
		return names, p.expect(")")
	}
	return names, nil
}

func (p *parser) setStatement(line int) (statement, error) {
	n := setNode{line: line}
	var err error
	if n.targets, err = p.targets(); err != nil {
		return nil, err
	}
	if len(n.targets) == 1 && p.skip(".") {
		n.object = n.targets[0]
		if n.targets[0], err = p.name(); err != nil {
			return nil, err
		}
	}
	if p.skip("=") {
		if n.x, err = p.tuple(); err != nil {
			return nil, err
		}
		return n, p.endTag()
	}
	if n.filters, err = p.filters(); err != nil {
		return nil, err
	}
	if err := p.endTag(); err != nil {
		return nil, err
	}
	n.body, err = p.block("endset")
	return n, err
}

func (p *parser) macro(line int) (statement, error) {
	n := &macroNode{line: line}
	var err error
	if n.name, err = p.name(); err != nil {
		return nil, err
	}
	if err := p.signature(n); err != nil {
		return nil, err
	}
	return n, p.macroBody(n, "endmacro")
}

// macroBody parses the body of a macro; loops around it are none of its own.
func (p *parser) macroBody(n *macroNode, end string) error {
	if err := p.endTag(); err != nil {
		return err
	}
	loops := p.loops
	p.loops = 0
	defer func() { p.loops = loops }()
	var err error
	n.body, err = p.block(end)
	return err
}

func (p *parser) signature(n *macroNode) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.skip(")") {
		if len(n.params) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
		}
		name, err := p.name()
		if err != nil {
			return err
		}
		n.params = append(n.params, name)
		switch {
		case p.skip("="):
			x, err := p.expression()
			if err != nil {
				return err
			}
			n.defaults = append(n.defaults, x)
		case n.defaults != nil:
			return errorAt(p.line(), "the parameter %s needs a default, as those before it have", name)
		}
	}
	return nil
}

func (p *parser) callStatement(line int) (statement, error) {
	caller := &macroNode{line: line, name: "caller"}
	if p.isOp("(") {
		if err := p.signature(caller); err != nil {
			return nil, err
		}
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, errorAt(line, "call needs a call")
	}
	return callNode{line, call, caller}, p.macroBody(caller, "endcall")
}

func (p *parser) filterStatement() (statement, error) {
	p.at-- // filters begin with a | or, here, with the name of the tag
	filters, err := p.filters()
	if err != nil {
		return nil, err
	}
	if err := p.endTag(); err != nil {
		return nil, err
	}
	body, err := p.block("endfilter")
	return filterNode{filters, body}, err
}

// filters parses filters in a row, each after a | or after the tag filter.
func (p *parser) filters() ([]filterUse, error) {
	var all []filterUse
	for p.skip("|") || len(all) == 0 && p.skip("filter") {
		use, err := p.use()
		if err != nil {
			return nil, err
		}
		all = append(all, use)
	}
	return all, nil
}

// use parses the name and the arguments of a filter that there is.
func (p *parser) use() (filterUse, error) {
	line := p.line()
	name, err := p.name()
	if err != nil {
		return filterUse{}, err
	}
	if _, ok := filters[name]; !ok {
		return filterUse{}, errorAt(line, "there is no filter %q", name)
	}
	u := filterUse{name: name}
	if p.isOp("(") {
		u.args, u.names, err = p.arguments()
	}
	return u, err
}

func (p *parser) withStatement() (statement, error) {
	var n withNode
	for p.peek().kind != tokEnd {
		if len(n.names) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.names, n.values = append(n.names, name), append(n.values, x)
	}
	if err := p.endTag(); err != nil {
		return nil, err
	}
	var err error
	n.body, err = p.block("endwith")
	return n, err
}

// arguments parses those of a call, brackets included.
func (p *parser) arguments() (args []expression, names []string, err error) {
	if err := p.expect("("); err != nil {
		return nil, nil, err
	}
	for !p.skip(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, nil, err
			}
			if p.skip(")") {
				break
			}
		}
		if t := p.peek(); t.kind == tokName && p.tokens[p.at+1].kind == tokOp && p.tokens[p.at+1].text == "=" {
			names = append(names, t.text)
			p.at += 2
		} else if names != nil {
			return nil, nil, errorAt(t.line, "an argument without a name after one with a name")
		}
		x, err := p.expression()
		if err != nil {
			return nil, nil, err
		}
		args = append(args, x)
	}
	return args, names, nil
}

// number reads an integer literal.
func number(t token) (Value, error) {
	n, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil {
		return nil, errorAt(t.line, "the number %s is too large", t.text)
	}
	return Int(n), nil
}

func real(t token) (Value, error) {
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return nil, errorAt(t.line, "%s", fmt.Sprintf("the number %s is too large", t.text))
	}
	return Float(f), nil
}
