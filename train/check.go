package train

import (
	"reflect"

	"gotune/data"
)

// check compares what is held out with what is trained on. What was found about
// each of them stopped the run when they were read, unless the recipe allows it by
// name; see [data.Open].
func (in *inputs) check(r Recipe) error {
	if in.eval == nil {
		return nil
	}
	var training []*data.Dataset
	for _, s := range in.stages {
		if f, ok := s.feed.(*inMemory); ok { // a stream is not read to its end
			training = append(training, f.data)
		}
	}
	in.overlaps = data.Overlaps(in.eval, training...)
	return data.Refuse(in.overlaps, r.Allow)
}

// notes says what was found about the data of a stage, and before the first stage
// what was found about the held-out data. Those that put the outcome in doubt, so
// many as serious says, come first.
func (in *inputs) notes(s *stage) (all []string, serious int) {
	var warnings, notes []string
	add := func(before string, findings []data.Finding) {
		for _, f := range findings {
			if f.Warns {
				warnings = append(warnings, before+f.Text)
			} else {
				notes = append(notes, before+f.Text)
			}
		}
	}
	if s.recipe.LearningRate == 0 {
		warnings = append(warnings, "learning_rate is 0: nothing that is trained will change")
	}
	if s.index == 0 && in.idleLoRA() {
		notes = append(notes, "lora_* keys are given, but have no meaning here: full trains all weights and has no adapter")
	}
	add("", s.feed.report().Findings)
	if s.index == 0 {
		if in.eval != nil {
			add("held-out data: ", in.eval.Report().Findings)
		}
		if in.retain != nil {
			add("retain_data: ", in.retain.Report().Findings)
		}
		add("", in.overlaps)
	}
	return append(warnings, notes...), len(warnings)
}

// idleLoRA reports whether no stage has an adapter but one has other lora_* keys
// than the defaults.
func (in *inputs) idleLoRA() bool {
	idle := false
	for _, s := range in.stages {
		if !s.recipe.WithoutAdapter() || s.recipe.Pretraining() {
			return false
		}
		plain := DefaultRecipe()
		plain.Targets = plain.targets(in.config.ModelType)
		is := s.recipe.LoRA
		is.Targets = s.recipe.targets(in.config.ModelType)
		idle = idle || !reflect.DeepEqual(is, plain.LoRA) || s.recipe.LoRAPlusLRRatio != plain.LoRAPlusLRRatio
	}
	return idle
}
