package train

import (
	"runtime"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/model"
)

// programs are those of one kind of work, training or evaluation, for batches of
// all shapes that occur.
type programs struct {
	model    *model.Model
	arena    *exec.Arena
	options  model.ProgramOptions // but for the shape
	compiled map[data.Shape]*model.Program
}

func newPrograms(m *model.Model, arena *exec.Arena, o model.ProgramOptions) programs {
	return programs{model: m, arena: arena, options: o, compiled: make(map[data.Shape]*model.Program)}
}

// program returns the program for batches of a shape.
func (ps *programs) program(s data.Shape) (*model.Program, error) {
	s.Targets = model.HeadRows(s.Rows*s.Length, s.Targets)
	if p := ps.compiled[s]; p != nil {
		return p, nil
	}
	o := ps.options
	o.Rows, o.Length, o.Targets = s.Rows, s.Length, s.Targets
	p, err := ps.model.Program(ps.arena, o)
	if err != nil {
		return nil, err
	}
	ps.compiled[s] = p
	// Compiling leaves some four times of what the program keeps behind, and beside
	// weights that are no garbage it would be long until it is collected.
	runtime.GC()
	return p, nil
}

// load returns the program for a batch with the batch in its inputs.
func (ps *programs) load(b *data.Batch) (*model.Program, error) {
	p, err := ps.program(data.Shape{Rows: b.Rows, Length: b.Length, Targets: b.TargetTokens})
	if err != nil {
		return nil, err
	}
	copy(p.IDs, b.IDs)
	copy(p.Targets, b.Targets)
	copy(p.Positions, b.Positions)
	copy(p.Weights, b.Weights)
	return p, nil
}
