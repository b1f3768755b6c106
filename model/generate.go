package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
)

// ErrContextFull is returned when a text has reached the model's last position.
var ErrContextFull = errors.New("the model's context is full")

// PrefillRows is the number of prompt tokens that one program of a generator takes
// at a time.
const PrefillRows = 256

// A Generator continues texts with a model. It keeps keys and values of all
// tokens so far, so that each new token is one row of work; the graph is that of
// training. It is not safe for concurrent use.
type Generator struct {
	model    *Model
	arena    *Arena
	project  ProjectFunc
	caches   []*op.KVCache
	programs map[int]*decoder
	past     []int32 // tokens whose keys and values are in the cache
	long     bool    // they were turned by the frequencies of long texts, see [Rope]

	// Virtual is the number of tokens before each text that an adapter puts something
	// else in the place of. They take positions, and are no part of prompts and results.
	Virtual int
}

// decoder is the program for a number of new tokens.
type decoder struct {
	*Inputs
	exec   *exec.Program
	logits *gorgonia.Node // of the last of the tokens: [1, V]
}

// NewGenerator makes a generator. The hook of an adapter may be nil; a nil team
// is one thread.
func NewGenerator(m *Model, team *Team, project ProjectFunc) *Generator {
	g := &Generator{model: m, arena: exec.NewArena(team), project: project, programs: make(map[int]*decoder)}
	for range m.Config.Layers {
		g.caches = append(g.caches, op.NewKVCache(0, m.Config.KVHeads*m.Config.HeadDim))
	}
	return g
}

// capacity returns for how many tokens a cache has room that must hold so many: a
// power of two, or the model's positions.
func capacity(tokens, positions int) int { return min(max(64, 1<<bitLength(tokens-1)), positions) }

// Generate continues prompt and calls yield with each new token as it comes; an
// error of yield ends it. It returns the new tokens without the one that ended
// the text. Tokens of an earlier call that prompt begins with are not computed
// again, which makes the turns of a chat cheap. It ends with ErrContextFull, and
// the tokens so far, when the model has no further position.
func (g *Generator) Generate(ctx context.Context, prompt []int32, s Sampling, yield func(id int32) error) ([]int32, error) {
	if len(prompt) == 0 {
		return nil, errors.New("generating: the prompt is empty")
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("generating: %w", err)
	}
	logits, err := g.Logits(ctx, prompt)
	if err != nil {
		return nil, err
	}
	sampler := newSampler(s, prompt, len(logits))
	var out []int32
	for s.MaxNewTokens <= 0 || len(out) < s.MaxNewTokens {
		id := sampler.next(logits)
		if slices.Contains(s.Stop, id) && !s.IgnoreEOS {
			return out, nil
		}
		out = append(out, id)
		if yield != nil {
			if err := yield(id); err != nil {
				return out, err
			}
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if len(out) == s.MaxNewTokens {
			break
		}
		if logits, err = g.next(ctx, id); err != nil {
			return out, err
		}
	}
	return out, nil
}

// next appends a token to the cache and returns the logits after it. The token with
// which a text becomes a long one turns all keys so far in another way, so that they are
// computed anew, as transformers does for Phi-3.
func (g *Generator) next(ctx context.Context, id int32) ([]float32, error) {
	if at := g.model.Config.Rope.switchesAt(); at > 0 && len(g.past)+1 > at && !g.long {
		return g.feed(ctx, append(slices.Clone(g.past), id))
	}
	return g.step([]int32{id}, len(g.past)+1)
}

// feed brings the cache to hold exactly prompt and returns the logits after it.
func (g *Generator) feed(ctx context.Context, prompt []int32) ([]float32, error) {
	if len(prompt) > g.model.Config.MaxPositions {
		return nil, fmt.Errorf("the prompt has %d tokens, the model %d positions: %w", len(prompt), g.model.Config.MaxPositions, ErrContextFull)
	}
	if at := g.model.Config.Rope.switchesAt(); at > 0 && len(prompt) > at != g.long {
		g.long, g.past = !g.long, g.past[:0]
	}
	keep := 0
	for keep < len(g.past) && keep < len(prompt)-1 && g.past[keep] == prompt[keep] {
		keep++
	}
	g.past = g.past[:keep]
	var logits []float32
	for rest := prompt[keep:]; len(rest) > 0; {
		n := min(len(rest), PrefillRows)
		if n < PrefillRows {
			n = 1 << (bitLength(n) - 1) // powers of two: few programs
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if logits, err = g.step(rest[:n], len(prompt)); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return logits, nil
}

func bitLength(n int) int {
	b := 0
	for ; n > 0; n >>= 1 {
		b++
	}
	return b
}

// step appends tokens of a text of a length to the cache and returns the logits after
// the last one, valid until the next step.
func (g *Generator) step(tokens []int32, length int) ([]float32, error) {
	if len(g.past)+len(tokens) > g.model.Config.MaxPositions {
		return nil, fmt.Errorf("after %d tokens: %w", len(g.past), ErrContextFull)
	}
	p, err := g.program(len(tokens))
	if err != nil {
		return nil, err
	}
	for _, c := range g.caches {
		if need := len(g.past) + len(tokens); need > c.Capacity {
			c.Grow(capacity(need, g.model.Config.MaxPositions))
		}
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= g.model.Config.VocabSize {
			return nil, fmt.Errorf("token id %d is outside the model's vocabulary of %d", id, g.model.Config.VocabSize)
		}
		p.IDs[i], p.Positions[i] = id, int32(len(g.past)+i)
	}
	p.turnAll(length)
	if err := p.exec.Run(); err != nil {
		return nil, fmt.Errorf("generating: %w", err)
	}
	logits := p.exec.Value(p.logits)
	if sum := kernel.SumSquares(g.arena.Team(), logits); sum-sum != 0 { // squares cannot overflow float64
		return nil, fmt.Errorf("generating: the model's logits after %d tokens are no finite numbers; its weights are damaged", len(g.past)+len(tokens))
	}
	g.past = append(g.past, tokens...)
	return logits, nil
}

// program returns the program for n new tokens.
func (g *Generator) program(n int) (*decoder, error) {
	if p := g.programs[n]; p != nil {
		return p, nil
	}
	b := newBuilder(g.model, 1, n, 1, g.project)
	b.inputs.index[0] = int32(n - 1) // the logits of the last token alone
	b.caches = g.caches
	hidden := g.model.arch.hidden(b, g.model.Config)
	head := b.Matrix(g.model.arch.head(g.model.Config))
	if b.err != nil {
		return nil, fmt.Errorf("compiling the model for generation: %w", b.err)
	}
	p := &decoder{Inputs: b.inputs}
	if p.logits = b.capped(b.check(op.Linear(b.scaled(hidden), head, nil))); b.ok() {
		p.exec, b.err = g.arena.Compile(b.Graph, exec.Config{Outputs: []*gorgonia.Node{p.logits}})
	}
	if b.err != nil {
		return nil, fmt.Errorf("compiling the model for generation: %w", b.err)
	}
	g.programs[n] = p
	return p, nil
}
