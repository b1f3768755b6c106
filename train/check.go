package train

import "gotune/data"

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
	if s.index == 0 && in.idleAdapter() {
		notes = append(notes, "keys of adapters (peft_type, lora_* and what belongs to them) are given, but have no meaning here: full trains all weights and has no adapter")
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

// idleAdapter reports whether no stage has an adapter but one has other keys of adapters
// than the defaults.
func (in *inputs) idleAdapter() bool {
	idle := false
	plain := DefaultRecipe()
	plain.Targets = plain.targets(in.config.ModelType)
	for _, s := range in.stages {
		r := s.recipe
		if !r.WithoutAdapter() || r.Pretraining() {
			return false
		}
		r.Targets = r.targets(in.config.ModelType)
		for _, f := range Keys() {
			idle = idle || PEFTTypesOf(f) != nil && differs(f, r, plain)
		}
	}
	return idle
}
