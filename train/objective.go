package train

import (
	"maps"
	"slices"
)

// An objective says what is learned from a row.
type objective struct {
	learnPrompt bool // every token is a target, not completions alone
}

// objectives are the values of the key objective.
var objectives = map[string]objective{
	"sft": {learnPrompt: false}, // supervised fine-tuning, prompts masked
	"cpt": {learnPrompt: true},  // continued pre-training
}

func objectiveNames() []string { return slices.Sorted(maps.Keys(objectives)) }
