package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gotune/data"
)

// A feed gives the steps of a stage.
type feed interface {
	// step returns step n, valid until the next call.
	step(ctx context.Context, n int) (*data.Step, error)
	// back undoes step, so that the same one comes next.
	back()
	// epoch returns the steps of a pass over the data, 0 where it is not known.
	epoch() int
	// extent looks at the micro-batches of so many steps, if they had so many rows
	// each and steps so many of them.
	extent(steps, size, accumulation int) extent
	// report says what was read, or looked at.
	report() data.Report
	// identity tells the data apart from other data.
	identity() (string, error)
	// seen marks the ids that stand in the data of the steps so far.
	seen(mark func(id int32))
	// state is what restore continues from besides the step; nil for nothing.
	state() ([]byte, error)
	restore(ctx context.Context, state []byte) error
	close()
}

// inMemory is a feed of tokenised rows.
type inMemory struct {
	data    *data.Dataset
	batches *data.Batches
	at      int // epoch of plan
	plan    *data.Plan
}

func openInMemory(ctx context.Context, c data.Config, b data.BatchConfig) (*inMemory, error) {
	d, err := data.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	batches, err := d.Batches(b)
	return &inMemory{data: d, batches: batches, at: -1}, err
}

func (f *inMemory) step(_ context.Context, n int) (*data.Step, error) {
	if epoch := n / f.batches.Steps(); f.at != epoch {
		f.at, f.plan = epoch, f.batches.Plan(epoch)
	}
	return f.plan.Step(n % f.batches.Steps()), nil
}

func (f *inMemory) back() {}

func (f *inMemory) epoch() int { return f.batches.Steps() }

// extent looks at the first two epochs, which have the shapes of most.
func (f *inMemory) extent(steps, size, accumulation int) extent {
	e, seen := extent{}, make(map[data.Shape]bool)
	batches := f.batches.Split(size, accumulation)
	epoch := batches.Steps()
	for n := range 2 {
		plan := batches.Plan(n)
		for i := range max(0, min(epoch, steps-n*epoch)) {
			step := plan.Step(i)
			e.steps++
			for m := range step.MicroBatches() {
				e.add(step.Shape(m), seen)
			}
		}
	}
	return e
}

func (f *inMemory) report() data.Report { return f.data.Report() }

func (f *inMemory) identity() (string, error) { return f.data.Fingerprint(), nil }

func (f *inMemory) seen(mark func(int32)) {
	for i := range f.data.Len() {
		for _, id := range f.data.Example(i).IDs {
			mark(id)
		}
	}
}

func (f *inMemory) state() ([]byte, error) { return nil, nil }

func (f *inMemory) restore(context.Context, []byte) error { return nil }

func (f *inMemory) close() {}

// streamed is a feed that reads rows as they are needed.
type streamed struct {
	config data.StreamConfig
	looked data.Report // at the first rows
	stream *data.Stream
	next   int    // step that the stream gives next
	ids    []byte // a bit for each id that stood in a step
}

// lookedAt is the number of rows that are looked at before a stream begins.
const lookedAt = 1000

func openStreamed(ctx context.Context, c data.StreamConfig) (*streamed, error) {
	f := &streamed{config: c}
	var err error
	if f.looked, err = data.Peek(ctx, c, lookedAt); err != nil {
		return nil, err
	}
	f.stream, err = data.NewStream(ctx, c)
	return f, err
}

func (f *streamed) step(ctx context.Context, n int) (*data.Step, error) {
	if n != f.next {
		return nil, fmt.Errorf("the stream is at step %d, not %d", f.next+1, n+1)
	}
	s, err := f.stream.Next(ctx)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	f.next++
	for x := range s.Examples {
		for _, id := range x.IDs {
			if grow := int(id)/8 + 1 - len(f.ids); grow > 0 {
				f.ids = append(f.ids, make([]byte, grow)...)
			}
			f.ids[id/8] |= 1 << (id % 8)
		}
	}
	return s, nil
}

func (f *streamed) back() {
	f.stream.Back()
	f.next--
}

func (f *streamed) epoch() int { return 0 }

// extent takes every row for one of the largest length.
func (f *streamed) extent(_, size, accumulation int) extent {
	tokens := size * f.config.MaxLength
	return extent{
		largest: data.Shape{Rows: size, Length: f.config.MaxLength, Targets: tokens}, shapes: streamedShapes,
		steps: 1, tokens: tokens * accumulation, micros: accumulation,
	}
}

// streamedShapes is how many shapes the micro-batches of a stream are taken to have.
const streamedShapes = 16

func (f *streamed) report() data.Report { return f.looked }

func (f *streamed) identity() (string, error) { return f.stream.Identity() }

func (f *streamed) seen(mark func(int32)) {
	for id := range int32(8 * len(f.ids)) {
		if f.ids[id/8]>>(id%8)&1 != 0 {
			mark(id)
		}
	}
}

// streamedState is the state of a stream with what the steps before it had.
type streamedState struct {
	Next   int             `json:"next"`
	IDs    []byte          `json:"ids"`
	Stream json.RawMessage `json:"stream"`
}

func (f *streamed) state() ([]byte, error) {
	s := streamedState{Next: f.next, IDs: f.ids}
	var err error
	if s.Stream, err = f.stream.State(); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

func (f *streamed) restore(ctx context.Context, state []byte) error {
	var s streamedState
	if len(state) == 0 {
		return errors.New("the checkpoint has no state of the data stream")
	}
	if err := json.Unmarshal(state, &s); err != nil {
		return err
	}
	f.next, f.ids = s.Next, s.IDs
	return f.stream.Restore(ctx, s.Stream)
}

func (f *streamed) close() { f.stream.Close() }
