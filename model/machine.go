package model

import (
	"runtime"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/kernel"
)

// A Team is the threads that share the work of programs, generators and
// optimizers. Their number changes no bit of a result. A nil team is the caller's
// thread alone.
type Team = kernel.Team

// NewTeam starts a team of so many threads, the caller's among them; 0 or less is
// one for each core. Its Close ends them.
func NewTeam(threads int) *Team {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return kernel.NewTeam(threads)
}

// An Arena is the memory for activations that programs share. They run one at a
// time, on the arena's team.
type Arena = exec.Arena

// NewArena returns an empty arena. It grows to what its largest program needs.
func NewArena(team *Team) *Arena { return exec.NewArena(team) }

// A Tensor is one of a model's weights: an array in row-major order.
type Tensor = hf.Tensor

// A DType is how the elements of weights are stored in a file.
type DType = hf.DType

// The types that [Model.Save] can write.
const (
	F32  DType = hf.F32
	BF16 DType = hf.BF16
	F16  DType = hf.F16
)

// A Matrix is one that cannot be trained, in one of several storages.
type Matrix = kernel.Weights

// Arithmetic says how products with the weights of a model are made.
type Arithmetic = kernel.Arithmetic

// The arithmetics: one multiplies float32 numbers, the other rounds both factors to bf16
// first. Sums are float32.
const (
	ProductsFP32 = kernel.FP32
	ProductsBF16 = kernel.BF16
)
