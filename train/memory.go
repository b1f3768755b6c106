package train

import (
	"runtime"
	"runtime/debug"

	"gotune/data"
	"gotune/internal/hf"
	"gotune/model"
	"gotune/optim"
)

// Memory is what a run needs, in bytes by component.
type Memory struct {
	Inputs      int64 `json:"inputs"`      // resident before there is a model: the program, data and tokenizer
	Weights     int64 `json:"weights"`     // of the model
	Adapter     int64 `json:"adapter"`     // values of what an adapter adds
	Gradients   int64 `json:"gradients"`   // of what is trained
	Optimizer   int64 `json:"optimizer"`   // its averages, what a step of it works in, and a moving average of what is trained
	Activations int64 `json:"activations"` // of the largest micro-batch or batch of an evaluation, with their gradients
	Generation  int64 `json:"generation"`  // keys and values of answers, and their activations
	Programs    int64 `json:"programs"`    // the compiled graphs, and working memory of threads
}

// Total is the sum of all components.
func (m Memory) Total() int64 {
	return m.Inputs + m.Weights + m.Adapter + m.Gradients + m.Optimizer + m.Activations + m.Generation + m.Programs
}

// resident returns what is resident, without what can be given back.
func resident() int64 {
	debug.FreeOSMemory()
	return residentNow()
}

func goMemory() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.Sys - s.HeapReleased)
}

// A footprint works out what a stage needs. Its model may be a sketch.
type footprint struct {
	inputs     int64
	model      *model.Model
	parameters []model.Parameter
	project    model.ProjectFunc // of an adapter, or nil
	optimizer  optim.Config
	averaged   bool // a moving average of what is trained is kept
	noise      float64
	threads    int
}

// trained returns the number of values that are trained.
func (f *footprint) trained() int64 {
	n := int64(0)
	for _, p := range f.parameters {
		n += int64(hf.Size(p.Shape))
	}
	return n
}

// options are those of a training program for a shape.
func (f *footprint) options(s data.Shape, blocks int) model.ProgramOptions {
	return model.ProgramOptions{
		Rows: s.Rows, Length: s.Length, Targets: model.HeadRows(s.Rows*s.Length, s.Targets),
		Parameters: f.parameters, Project: f.project, Noise: f.noise, Recompute: blocks,
	}
}

// evaluationBytes returns the activations of the largest batch of an evaluation.
func (f *footprint) evaluationBytes(s data.Shape) (int64, error) {
	if s.Rows == 0 {
		return 0, nil
	}
	return f.model.Measure(model.ProgramOptions{
		Rows: s.Rows, Length: s.Length, Targets: model.HeadRows(s.Rows*s.Length, s.Targets), Project: f.project,
	})
}

// memory returns everything but activations and generation, with so many programs, of
// which the largest have the shapes.
func (f *footprint) memory(programs int, largest ...data.Shape) (Memory, error) {
	trained := f.trained()
	m := Memory{Inputs: f.inputs, Weights: f.model.Bytes(), Gradients: 4 * trained}
	if f.project != nil {
		for _, p := range f.parameters {
			if _, own := f.model.Weights[p.Name]; !own { // a weight of the model that is trained whole counts there
				m.Adapter += 4 * int64(hf.Size(p.Shape))
			}
		}
	}
	state, work, err := f.optimizerBytes()
	m.Optimizer = state + work
	if f.averaged {
		m.Optimizer += 4 * trained
	}
	m.Programs = int64(f.model.Config.Layers) * (programBytes*int64(programs) + compileBytes)
	length, rounding := 1, int64(0)
	for _, s := range largest {
		length, rounding = max(length, s.Length), max(rounding, f.model.RoundingBytes(f.options(s, 0)))
	}
	m.Programs += int64(f.threads)*threadBytes(length, f.model.Config.HeadDim) + rounding
	return m, err
}

// What a program keeps for each layer of the model, and what is lying about after
// compiling one until the next garbage collection: measured, and alike for all
// sizes of layers.
const (
	programBytes = 84 << 10
	compileBytes = 300 << 10
)

// threadBytes is the working memory of a thread: packed factors of products, and in
// attention the packed keys and values of a head with the scores of a block.
func threadBytes(length, headDim int) int64 {
	const packed, queries = 2 << 20, 256
	return packed + 4*int64(3*length*headDim+2*queries*(length+32))
}

// optimizerBytes returns what the optimizer keeps, and what a step of it works in.
func (f *footprint) optimizerBytes() (state, work int64, err error) {
	return optim.Memory(optimizable(f.parameters), f.optimizer)
}

// optimizable are parameters as an optimizer knows them.
func optimizable(parameters []model.Parameter) []optim.Parameter {
	all := make([]optim.Parameter, len(parameters))
	for i, p := range parameters {
		all[i] = optim.Parameter(p)
	}
	return all
}

// generation returns the memory of answers to questions of a dataset: keys and
// values, and the activations of a prompt's tokens.
func (f *footprint) generation(d *data.Dataset) int64 {
	longest := 0
	for i := range d.Len() {
		longest = max(longest, len(d.Example(i).IDs))
	}
	c := f.model.Config
	row := 4 * int64(6*c.HiddenSize+3*c.IntermediateSize+3*c.Heads*c.HeadDim)
	return f.model.CacheBytes(longest+answerRoom) + model.PrefillRows*row + 4*2*int64(c.VocabSize)
}
