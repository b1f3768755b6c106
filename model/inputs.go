package model

import "gorgonia.org/gorgonia"

// Inputs are the values that a caller writes before each run of a program. N is
// rows times length; token t of row b has the index b·length + t.
type Inputs struct {
	IDs       []int32   // [N] token ids
	Positions []int32   // [N] place in the segment; a segment starts at 0
	Targets   []int32   // [N] the id to predict, or −100; nil without a loss
	Weights   []float32 // [N] of each target in the loss; 1 unless something else is written
	Scale     []float32 // [1] what the sum of losses is multiplied by
	Key       []int32   // [2] key of the dropout masks
	Noise     []float32 // [1] size of the embedding's noise; that of NoiseSize for the rows' length unless something else is written

	ids, positions, scale, key, noise *gorgonia.Node

	// Where texts of more than switchesAt tokens are turned by a second set of rotary
	// frequencies: the row of the table for each token. Inputs.turn sets it.
	rotations  []int32
	switchesAt int
	turns      *gorgonia.Node

	// Of the rows that the head is computed for: their index, −1 for none, target
	// and weight. Without a choice of rows index is nil and they are those of all.
	index, headTargets []int32
	headWeights        []float32

	rows, targets, weights *gorgonia.Node
}

// turn chooses the rotary frequencies of each token, where there are two sets of them:
// the second in segments of more than switchesAt tokens. Differs from transformers,
// which takes the second for all rows of a batch if one of them, padded, is so long.
func (in *Inputs) turn() {
	if in.turns == nil {
		return
	}
	set := int32(0)
	for i := len(in.Positions) - 1; i >= 0; i-- {
		p := in.Positions[i]
		if last := i+1 == len(in.Positions) || in.Positions[i+1] == 0; last {
			set = int32(min(1, (int(p)+1)/(in.switchesAt+1)))
		}
		in.rotations[i] = 2*p + set
	}
}

// turnAll is turn for tokens of one text, whose length decides.
func (in *Inputs) turnAll(length int) {
	if in.turns == nil {
		return
	}
	for i, p := range in.Positions {
		in.rotations[i] = 2 * p
		if length > in.switchesAt {
			in.rotations[i]++
		}
	}
}
